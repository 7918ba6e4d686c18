"""Slips in the Jobs."""

from check.files import PIPELINE, VALUES

from .edits import Mutation, file, text
from .places import CLUSTER, DEPLOY, ROLLBACK

JOB = [
    Mutation(
        "the name the same in each execution",
        text(DEPLOY, "webapp-deploy-{{ .Values.execution }}", "webapp-deploy"),
        "job-name",
    ),
    Mutation(
        "an image of its own", text(DEPLOY, "{{ .Values.image | quote }}", "webapp:latest"), "image-from-artifact"
    ),
    Mutation(
        "the tag not the artifact's",
        text(VALUES, "<+artifact.image>", "123456789012.dkr.ecr/webapp:1.4.2"),
        "image-from-artifact",
    ),
    Mutation("a pod that restarts", text(DEPLOY, "restartPolicy: Never", "restartPolicy: OnFailure"), "restart-policy"),
    Mutation("tries without end", text(DEPLOY, "backoffLimit: 4", "backoffLimit: 100"), "backoff-limit"),
    Mutation("no second try", text(DEPLOY, "backoffLimit: 4", "backoffLimit: 0"), "backoff-limit"),
    *(
        Mutation(
            f"exit code {code} is tried again",
            text(DEPLOY, "[2, 3, 4, 6, 7, 8]", str([c for c in (2, 3, 4, 6, 7, 8) if c != code])),
            "pod-failure-policy",
        )
        for code in (2, 3, 4, 6, 7, 8)
    ),
    Mutation(
        "exit code 5 is not tried again",
        text(DEPLOY, "[2, 3, 4, 6, 7, 8]", "[2, 3, 4, 5, 6, 7, 8]"),
        "pod-failure-policy",
    ),
    Mutation(
        "exit code 143 is not tried again",
        text(DEPLOY, "[2, 3, 4, 6, 7, 8]", "[2, 3, 4, 6, 7, 8, 143]"),
        "pod-failure-policy",
    ),
    Mutation("a lost node counts", text(DEPLOY, "action: Ignore", "action: Count"), "pod-failure-policy"),
    Mutation(
        "the policy's operator turned round", text(DEPLOY, "operator: In", "operator: NotIn"), "pod-failure-policy"
    ),
    Mutation(
        "the policy for another container",
        text(DEPLOY, "containerName: deploy", "containerName: rollback"),
        "pod-failure-policy",
    ),
    Mutation(
        "a verdict is ignored on a lost node",
        text(
            DEPLOY,
            "      # Configuration, permissions",
            "      - action: Ignore\n        onPodConditions:\n          - type: DisruptionTarget\n"
            '            status: "True"\n      # Configuration, permissions',
        ),
        "pod-failure-policy",
    ),
    Mutation(
        "two pods at once",
        text(DEPLOY, "podReplacementPolicy: Failed", "podReplacementPolicy: TerminatingOrFailed"),
        "pod-failure-policy",
    ),
    Mutation(
        "cleaned up before Harness looked",
        text(DEPLOY, "ttlSecondsAfterFinished: 21600", "ttlSecondsAfterFinished: 60"),
        "ttl",
    ),
    Mutation("never cleaned up", text(DEPLOY, "  ttlSecondsAfterFinished: 21600\n", ""), "ttl"),
    Mutation(
        "a deadline above the step's timeout",
        text(DEPLOY, "activeDeadlineSeconds: 2400", "activeDeadlineSeconds: 3600"),
        "timeouts",
    ),
    Mutation("a step that ends before the Job", text(PIPELINE, "timeout: 45m", "timeout: 41m"), "timeouts"),
    Mutation("no deadline", text(DEPLOY, "  activeDeadlineSeconds: 2400\n", ""), "timeouts"),
    Mutation(
        "a grace period shorter than the lease",
        text(DEPLOY, "terminationGracePeriodSeconds: 120", "terminationGracePeriodSeconds: 30"),
        "timeouts",
    ),
    Mutation("a lease longer than the grace period", text(VALUES, "DEPLOY_LEASE: 60s", "DEPLOY_LEASE: 5m"), "timeouts"),
    Mutation(
        "an invalidation longer than the Job",
        text(VALUES, "DEPLOY_INVALIDATION_TIMEOUT: 15m", "DEPLOY_INVALIDATION_TIMEOUT: 1h"),
        "timeouts",
    ),
    Mutation(
        "the cluster's services in the environment",
        text(DEPLOY, "enableServiceLinks: false", "enableServiceLinks: true"),
        "service-links",
    ),
    *(
        Mutation(f"{name} left out", text(DEPLOY, line, ""), "security-context")
        for name, line in (
            ("runAsNonRoot", "        runAsNonRoot: true\n"),
            ("seccompProfile", "        seccompProfile:\n          type: RuntimeDefault\n"),
            ("allowPrivilegeEscalation", "            allowPrivilegeEscalation: false\n"),
            ("readOnlyRootFilesystem", "            readOnlyRootFilesystem: true\n"),
            ("capabilities", "            capabilities:\n              drop: [ALL]\n"),
            ("automountServiceAccountToken", "      automountServiceAccountToken: false\n"),
        )
    ),
    Mutation("another user", text(DEPLOY, "runAsUser: 65532", "runAsUser: 0"), "security-context"),
    Mutation(
        "the node's network",
        text(DEPLOY, "      restartPolicy:", "      hostNetwork: true\n      restartPolicy:"),
        "security-context",
    ),
    Mutation("no limit of memory", text(DEPLOY, "            limits:\n              memory: 512Mi\n", ""), "resources"),
    Mutation("less memory than is buffered", text(DEPLOY, "memory: 512Mi", "memory: 96Mi"), "resources"),
    Mutation("a result that nobody sees", text(DEPLOY, "FallbackToLogsOnError", "File"), "termination-message"),
    Mutation("the result in another file", text(DEPLOY, "/dev/termination-log", "/tmp/log"), "termination-message"),
    Mutation(
        "an account that is not there",
        text(DEPLOY, "serviceAccountName: webapp-deploy", "serviceAccountName: default"),
        "service-account",
    ),
    Mutation(
        "an account without a role",
        text(CLUSTER, "eks.amazonaws.com/role-arn", "eks.amazonaws.com/role"),
        "service-account",
    ),
    Mutation(
        "a namespace that is not there",
        file(CLUSTER, "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: other\n"),
        "reference",
    ),
    Mutation("another command", text(DEPLOY, 'args: ["run"]', 'args: ["plan"]'), "command"),
    Mutation("another program", text(DEPLOY, 'args: ["run"]', 'command: [sh]\n          args: ["run"]'), "command"),
    Mutation(
        "the rollback without its condition",
        text(ROLLBACK, '"rollback", "--if-live", {{ .Values.tag | replace "_" "+" | quote }}', '"rollback"'),
        "rollback-release",
    ),
    Mutation(
        "the wrong release in the rollback",
        text(ROLLBACK, '{{ .Values.tag | replace "_" "+" | quote }}', '"1.4.1"'),
        "rollback-release",
    ),
    Mutation(
        "the tag in place of the version in the rollback", text(ROLLBACK, ' | replace "_" "+"', ""), "rollback-release"
    ),
    Mutation(
        "the execution in place of the release in the rollback",
        text(ROLLBACK, ".Values.tag", ".Values.execution"),
        "rollback-release",
    ),
    Mutation("no execution", text(VALUES, '  DEPLOY_EXECUTION: "<+pipeline.executionId>"\n', ""), "execution"),
    Mutation(
        "an execution that is not the pipeline's",
        text(VALUES, "<+pipeline.executionId>", "<+pipeline.sequenceId>"),
        "execution",
    ),
    Mutation("the rollback to a release by name", text(ROLLBACK, "--if-live", "--to"), "rollback-release"),
    Mutation(
        "the rollback tried again on a refusal",
        text(ROLLBACK, "[2, 3, 4, 6, 7, 8]", "[2, 3, 4, 6, 8]"),
        "pod-failure-policy",
    ),
    Mutation("no rollback manifest", file(ROLLBACK, None), "reference"),
]
