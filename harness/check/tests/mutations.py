"""Slips that people make in these files, each with the rule that must catch it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import yaml

from check.files import OWN_BITBUCKET, PIPELINE, SERVICE, TRIGGER, VALUES, WEBAPP_BITBUCKET, Files

DEV, PRODUCTION = "harness/environments/dev.yaml", "harness/environments/production.yaml"
DEV_INFRASTRUCTURE = "harness/infrastructures/dev.yaml"
DEPLOY, ROLLBACK = "harness/manifests/jobs/deploy.yaml", "harness/manifests/jobs/rollback.yaml"
CLUSTER = "harness/cluster/dev.yaml"

Edit = Callable[[Files], Files]


class Mutation(NamedTuple):
    """A slip: what it is, how it is made, and which rule names it."""

    name: str
    edit: Edit
    rule: str


def text(path: str, old: str, new: str) -> Edit:
    """Replaces what stands in a file; every place of it."""

    def edit(files: Files) -> Files:
        assert old in files.texts[path], f"{path} has no {old!r}"
        return files.changed(path, files.texts[path].replace(old, new))

    return edit


def swap(path: str, one: str, other: str) -> Edit:
    """Exchanges two texts."""

    def edit(files: Files) -> Files:
        assert one in files.texts[path] and other in files.texts[path]
        marked = files.texts[path].replace(one, "\0").replace(other, one).replace("\0", other)
        return files.changed(path, marked)

    return edit


def file(path: str, content: str | None) -> Edit:
    """Another file in its place, or none."""
    return lambda files: files.changed(path, content)


def _descend(document: Any, way: str) -> tuple[Any, Any]:
    parts = [int(part) if part.isdigit() else part for part in way.split("/")]
    for part in parts[:-1]:
        document = document[part]
    return document, parts[-1]


def _edited(path: str, change: Callable[[Any], None]) -> Edit:
    def edit(files: Files) -> Files:
        document = copy.deepcopy(files.parsed(path))
        change(document)
        return files.changed(path, yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False))

    return edit


def put(path: str, way: str, value: Any) -> Edit:
    """Sets what is at the way (`a/0/b`), there already or new."""

    def change(document: Any) -> None:
        holder, last = _descend(document, way)
        holder[last] = value

    return _edited(path, change)


def gone(path: str, way: str) -> Edit:
    """Takes away what is at the way."""

    def change(document: Any) -> None:
        holder, last = _descend(document, way)
        del holder[last]

    return _edited(path, change)


def moved(path: str, way: str, to: str) -> Edit:
    """Puts what is at one way at another."""

    def change(document: Any) -> None:
        holder, last = _descend(document, way)
        value = holder.pop(last)
        holder, last = _descend(document, to)
        holder[last] = value

    return _edited(path, change)


def both(first: Edit, second: Edit) -> Edit:
    """One after the other."""
    return lambda files: second(first(files))


STAGE = "pipeline/stages/0/stage"
STAGING = "pipeline/stages/1/stage"
APPROVAL = "pipeline/stages/2/stage"
PRODUCTION_STAGE = "pipeline/stages/3/stage"
EXECUTION = f"{STAGE}/spec/execution"
APPLY = f"{EXECUTION}/steps/1/step"
APPROVE = f"{APPROVAL}/spec/execution/steps/0/step"
SOURCE = "service/serviceDefinition/spec/artifacts/primary/sources/0"
MANIFEST = "service/serviceDefinition/spec/manifests/0/manifest/spec"
CONDITION = "trigger/source/spec/spec/eventConditions/0"
PATTERN = r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(_[0-9A-Za-z.-]+)?$"
CUT = "pipelines/tags/*.*.*/1/step"


def pattern(value: str) -> Edit:
    """Another pattern in the trigger."""
    return put(TRIGGER, f"{CONDITION}/value", value)


VARIABLES = [
    Mutation("a variable misspelt in the values", text(VALUES, "  DEPLOY_BUCKET:", "  DEPLOY_BUKET:"), "variable-unknown"),
    Mutation("a variable with another prefix", text(VALUES, "  DEPLOY_REGION:", "  REGION:"), "variable-unknown"),
    Mutation("a variable misspelt in an environment", text(DEV, "DEPLOY_BUCKET", "DEPLOY_BUKET"), "unresolved-expression"),
    Mutation("an expression misspelt", text(VALUES, "env.variables.DEPLOY_BUCKET", "env.variable.DEPLOY_BUCKET"),
             "unresolved-expression"),
    Mutation("a required variable missing in the values",
             text(VALUES, '  DEPLOY_BUCKET: "<+env.variables.DEPLOY_BUCKET>"\n', ""), "variable-missing"),
    Mutation("the region missing", text(VALUES, '  DEPLOY_REGION: "<+env.variables.DEPLOY_REGION>"\n', ""),
             "variable-missing"),
    Mutation("a variable missing in one environment", gone(DEV, "environment/variables/0"), "unresolved-expression"),
    Mutation("a variable in one environment alone",
             put(DEV, "environment/variables/0/name", "DEPLOY_PREFIX"), "variable-not-everywhere"),
    Mutation("a surplus variable in an environment", text(VALUES, "<+env.variables.WEBAPP_LABEL>", "Test"), "variable-unused"),
    Mutation("a variable that the command does not read",
             text(VALUES, "target:\n", "target:\n  DEPLOY_PUBLIC_URL: https://example.com/\n"), "variable-not-read"),
    Mutation("a value of the site for the rollback", text(VALUES, "target:\n", "target:\n  WEBAPP_X: x\n"), "variable-not-read"),
    Mutation("image-tagger's variable in the Job", text(VALUES, "site:\n", "site:\n  IMAGE_SITE: dist\n"), "variable-not-read"),
    Mutation("the version set beside the image's", text(VALUES, "release:\n", "release:\n  DEPLOY_VERSION: 1.4.2\n"),
             "variable-set-by-image"),
    Mutation("a duration without a unit", text(VALUES, "DEPLOY_LEASE: 60s", "DEPLOY_LEASE: 60"), "variable-invalid"),
    Mutation("a bucket with its scheme", text(DEV, "value: webapp-dev", "value: s3://webapp-dev"), "variable-invalid"),
    Mutation("an ARN in place of a distribution's id",
             text(DEV, "E1DEVEXAMPLE", "arn:aws:cloudfront::1:distribution/E1"), "variable-invalid"),
    Mutation("a URL without a scheme", text(DEV, "https://dev.example.com/", "dev.example.com"), "variable-invalid"),
    Mutation("a choice that is none", text(VALUES, "DEPLOY_LOG: json", "DEPLOY_LOG: xml"), "variable-invalid"),
    Mutation("a variable of another type", put(DEV, "environment/variables/0/type", "Number"), "schema"),
    Mutation("a value that is no string", put(DEV, "environment/variables/0/value", 7), "schema"),
    Mutation("a number where strings are", put(DEV, "environment/variables/5",
                                               {"name": "WEBAPP_LABEL", "type": "Number", "value": 7}), "variable-type"),
    Mutation("a variable twice in an environment", put(DEV, "environment/variables/5/name", "DEPLOY_BUCKET"),
             "variable-twice"),
    Mutation("a variable twice in the Job",
             text(DEPLOY, "          env:\n", '          env:\n            - name: DEPLOY_LOG\n              value: text\n'),
             "variable-twice"),
    Mutation("a key twice in a file", text(VALUES, "target:\n", "tag: \"1\"\ntarget:\n"), "yaml"),
]

SHAPES = [
    Mutation("an unknown key at the top of the service", put(SERVICE, "service/artefacts", {}), "unknown-key"),
    Mutation("an unknown key in the artifact", moved(SERVICE, f"{SOURCE}/spec/imagePath", f"{SOURCE}/spec/imagepath"),
             "unknown-key"),
    Mutation("an unknown key in the manifest", moved(SERVICE, f"{MANIFEST}/valuesPaths", f"{MANIFEST}/valuePaths"),
             "unknown-key"),
    Mutation("an unknown key in the store", put(SERVICE, f"{MANIFEST}/store/spec/repository", "webapp"), "unknown-key"),
    Mutation("an unknown key in an environment", put(DEV, "environment/kind", "PreProduction"), "unknown-key"),
    Mutation("an unknown key in an environment's variable", put(DEV, "environment/variables/0/secret", True), "unknown-key"),
    Mutation("an unknown key in an infrastructure",
             put(DEV_INFRASTRUCTURE, "infrastructureDefinition/spec/cluster", "dev"), "unknown-key"),
    Mutation("an unknown key in the pipeline", put(PIPELINE, "pipeline/concurrency", 1), "unknown-key"),
    Mutation("an unknown key in a stage", put(PIPELINE, f"{STAGE}/retries", 1), "unknown-key"),
    Mutation("an unknown key in a stage's spec", put(PIPELINE, f"{STAGE}/spec/envs", {}), "unknown-key"),
    Mutation("an unknown key in a step", put(PIPELINE, f"{APPLY}/retry", 1), "unknown-key"),
    Mutation("an unknown key in a step's spec", put(PIPELINE, f"{APPLY}/spec/skipSteadyState", False), "unknown-key"),
    Mutation("an unknown key in a failure strategy",
             put(PIPELINE, f"{STAGE}/failureStrategies/0/onFailure/errorTypes", []), "unknown-key"),
    Mutation("an unknown key in the approvers", put(PIPELINE, f"{APPROVE}/spec/approvers/groups", []), "unknown-key"),
    Mutation("an unknown key in the trigger", put(TRIGGER, "trigger/pipeline", "webapp_release"), "unknown-key"),
    Mutation("an unknown key in the trigger's condition", put(TRIGGER, f"{CONDITION}/regex", True), "unknown-key"),
    Mutation("an unknown key in the Job", text(DEPLOY, "  backoffLimit:", "  retries: 3\n  backoffLimit:"), "kubernetes"),
    Mutation("an unknown key in the pod", text(DEPLOY, "      restartPolicy:", "      restart: 1\n      restartPolicy:"),
             "kubernetes"),
    Mutation("an unknown key in the container", text(DEPLOY, "          resources:", "          arguments: []\n          resources:"),
             "kubernetes"),
    Mutation("an unknown key in the failure policy", text(DEPLOY, "onExitCodes:", "exitCodes:"), "kubernetes"),
    Mutation("an unknown key in the namespace", text(CLUSTER, "  labels:", "  label:"), "kubernetes"),
    Mutation("an unknown key in Bitbucket's step", put(WEBAPP_BITBUCKET, f"{CUT}/scripts", []), "unknown-key"),
    Mutation("an unknown key in Bitbucket's pipelines", put(WEBAPP_BITBUCKET, "pipelines/tag", []), "unknown-key"),
    Mutation("a script that is no list", put(OWN_BITBUCKET, "pipelines/default/0/step/script", "scripts/test"), "schema"),
    Mutation("a step size that is none", put(OWN_BITBUCKET, "pipelines/tags/*.*.*/1/step/size", "3x"), "schema"),
    Mutation("a step type misspelt", put(PIPELINE, f"{APPLY}/type", "K8SApply"), "schema"),
    Mutation("a number with a unit where a number is", text(DEPLOY, "activeDeadlineSeconds: 2400", "activeDeadlineSeconds: 40m"),
             "kubernetes"),
    Mutation("a timeout without a unit", put(PIPELINE, f"{APPLY}/timeout", 2700), "schema"),
    Mutation("a template that does not close", text(DEPLOY, "{{- end }}", ""), "render"),
    Mutation("a value that is not there", text(DEPLOY, ".Values.image", ".Values.img"), "render"),
    Mutation("an expression in a manifest", text(DEPLOY, "{{ .Values.image | quote }}", "<+artifact.image>"),
             "expression-in-manifest"),
    Mutation("an action that is none", text(PIPELINE, "type: StageRollback", "type: StageRolback"), "failure-strategy"),
]

JOB = [
    Mutation("the name the same in each execution", text(DEPLOY, "webapp-deploy-{{ .Values.execution }}", "webapp-deploy"),
             "job-name"),
    Mutation("an image of its own", text(DEPLOY, "{{ .Values.image | quote }}", "webapp:latest"), "image-from-artifact"),
    Mutation("the tag not the artifact's", text(VALUES, "<+artifact.image>", "123456789012.dkr.ecr/webapp:1.4.2"),
             "image-from-artifact"),
    Mutation("a pod that restarts", text(DEPLOY, "restartPolicy: Never", "restartPolicy: OnFailure"), "restart-policy"),
    Mutation("tries without end", text(DEPLOY, "backoffLimit: 4", "backoffLimit: 100"), "backoff-limit"),
    Mutation("no second try", text(DEPLOY, "backoffLimit: 4", "backoffLimit: 0"), "backoff-limit"),
    *(Mutation(f"exit code {code} is tried again", text(DEPLOY, "[2, 3, 4, 6, 7]", str([c for c in (2, 3, 4, 6, 7) if c != code])),
               "pod-failure-policy") for code in (2, 3, 4, 6, 7)),
    Mutation("exit code 5 is not tried again", text(DEPLOY, "[2, 3, 4, 6, 7]", "[2, 3, 4, 5, 6, 7]"), "pod-failure-policy"),
    Mutation("exit code 143 is not tried again", text(DEPLOY, "[2, 3, 4, 6, 7]", "[2, 3, 4, 6, 7, 143]"), "pod-failure-policy"),
    Mutation("a lost node counts", text(DEPLOY, "action: Ignore", "action: Count"), "pod-failure-policy"),
    Mutation("the policy's operator turned round", text(DEPLOY, "operator: In", "operator: NotIn"), "pod-failure-policy"),
    Mutation("the policy for another container", text(DEPLOY, "containerName: deploy", "containerName: rollback"),
             "pod-failure-policy"),
    Mutation("a verdict is ignored on a lost node",
             text(DEPLOY, "      # Configuration, permissions",
                                '      - action: Ignore\n        onPodConditions:\n          - type: DisruptionTarget\n'
                                '            status: "True"\n      # Configuration, permissions'), "pod-failure-policy"),
    Mutation("two pods at once", text(DEPLOY, "podReplacementPolicy: Failed", "podReplacementPolicy: TerminatingOrFailed"),
             "pod-failure-policy"),
    Mutation("cleaned up before Harness looked", text(DEPLOY, "ttlSecondsAfterFinished: 21600", "ttlSecondsAfterFinished: 60"),
             "ttl"),
    Mutation("never cleaned up", text(DEPLOY, "  ttlSecondsAfterFinished: 21600\n", ""), "ttl"),
    Mutation("a deadline above the step's timeout",
             text(DEPLOY, "activeDeadlineSeconds: 2400", "activeDeadlineSeconds: 3600"), "timeouts"),
    Mutation("a step that ends before the Job", text(PIPELINE, "timeout: 45m", "timeout: 41m"), "timeouts"),
    Mutation("no deadline", text(DEPLOY, "  activeDeadlineSeconds: 2400\n", ""), "timeouts"),
    Mutation("a grace period shorter than the lease",
             text(DEPLOY, "terminationGracePeriodSeconds: 120", "terminationGracePeriodSeconds: 30"), "timeouts"),
    Mutation("a lease longer than the grace period", text(VALUES, "DEPLOY_LEASE: 60s", "DEPLOY_LEASE: 5m"), "timeouts"),
    Mutation("an invalidation longer than the Job",
             text(VALUES, "DEPLOY_INVALIDATION_TIMEOUT: 15m", "DEPLOY_INVALIDATION_TIMEOUT: 1h"), "timeouts"),
    Mutation("the cluster's services in the environment", text(DEPLOY, "enableServiceLinks: false", "enableServiceLinks: true"),
             "service-links"),
    *(Mutation(f"{name} left out", text(DEPLOY, line, ""), "security-context") for name, line in (
        ("runAsNonRoot", "        runAsNonRoot: true\n"),
        ("seccompProfile", "        seccompProfile:\n          type: RuntimeDefault\n"),
        ("allowPrivilegeEscalation", "            allowPrivilegeEscalation: false\n"),
        ("readOnlyRootFilesystem", "            readOnlyRootFilesystem: true\n"),
        ("capabilities", "            capabilities:\n              drop: [ALL]\n"),
        ("automountServiceAccountToken", "      automountServiceAccountToken: false\n"),
    )),
    Mutation("another user", text(DEPLOY, "runAsUser: 65532", "runAsUser: 0"), "security-context"),
    Mutation("the node's network", text(DEPLOY, "      restartPolicy:", "      hostNetwork: true\n      restartPolicy:"),
             "security-context"),
    Mutation("no limit of memory", text(DEPLOY, "            limits:\n              memory: 512Mi\n", ""), "resources"),
    Mutation("less memory than is buffered", text(DEPLOY, "memory: 512Mi", "memory: 96Mi"), "resources"),
    Mutation("a result that nobody sees", text(DEPLOY, "FallbackToLogsOnError", "File"), "termination-message"),
    Mutation("the result in another file", text(DEPLOY, "/dev/termination-log", "/tmp/log"), "termination-message"),
    Mutation("an account that is not there", text(DEPLOY, "serviceAccountName: webapp-deploy", "serviceAccountName: default"),
             "service-account"),
    Mutation("an account without a role", text(CLUSTER, "eks.amazonaws.com/role-arn", "eks.amazonaws.com/role"), "service-account"),
    Mutation("a namespace that is not there", file(CLUSTER, "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: other\n"),
             "reference"),
    Mutation("another command", text(DEPLOY, 'args: ["run"]', 'args: ["plan"]'), "command"),
    Mutation("another program", text(DEPLOY, 'args: ["run"]', 'command: [sh]\n          args: ["run"]'), "command"),
    Mutation("the rollback without its condition", text(ROLLBACK, '"rollback", "--if-live", {{ .Values.tag | replace "_" "+" | quote }}',
                                                        '"rollback"'), "rollback-release"),
    Mutation("the wrong release in the rollback", text(ROLLBACK, '{{ .Values.tag | replace "_" "+" | quote }}', '"1.4.1"'),
             "rollback-release"),
    Mutation("the tag in place of the version in the rollback", text(ROLLBACK, ' | replace "_" "+"', ""), "rollback-release"),
    Mutation("the execution in place of the release in the rollback", text(ROLLBACK, ".Values.tag", ".Values.execution"),
             "rollback-release"),
    Mutation("the rollback to a release by name", text(ROLLBACK, "--if-live", "--to"), "rollback-release"),
    Mutation("the rollback tried again on a refusal", text(ROLLBACK, "[2, 3, 4, 6, 7]", "[2, 3, 4, 6]"), "pod-failure-policy"),
    Mutation("no rollback manifest", file(ROLLBACK, None), "reference"),
]

CHAIN = [
    Mutation("rollbackSteps beside the execution", moved(PIPELINE, f"{EXECUTION}/rollbackSteps", f"{STAGE}/spec/rollbackSteps"),
             "unknown-key"),
    Mutation("no rollbackSteps", gone(PIPELINE, f"{EXECUTION}/rollbackSteps"), "rollback-step"),
    Mutation("a rollback that deploys", put(PIPELINE, f"{EXECUTION}/rollbackSteps/3/step/spec/filePaths/0", "jobs/deploy.yaml"),
             "rollback-step"),
    Mutation("a rollback beside a deployment that may still run", gone(PIPELINE, f"{EXECUTION}/rollbackSteps/1"),
             "rollback-step"),
    Mutation("no environmentRef", gone(PIPELINE, f"{STAGE}/spec/environment/environmentRef"), "reference"),
    Mutation("an environmentRef misspelt", put(PIPELINE, f"{STAGE}/spec/environment/environmentRef", "develop"), "reference"),
    Mutation("no infrastructure", gone(PIPELINE, f"{STAGE}/spec/environment/infrastructureDefinitions"), "reference"),
    Mutation("an infrastructure misspelt",
             put(PIPELINE, f"{STAGE}/spec/environment/infrastructureDefinitions/0/identifier", "develop"), "reference"),
    Mutation("another environment's infrastructure",
             put(PIPELINE, f"{STAGE}/spec/environment/infrastructureDefinitions/0/identifier", "production"), "reference"),
    Mutation("an infrastructure of another environment",
             put(DEV_INFRASTRUCTURE, "infrastructureDefinition/environmentRef", "production"), "reference"),
    Mutation("no serviceRef", gone(PIPELINE, f"{STAGE}/spec/service/serviceRef"), "reference"),
    Mutation("a serviceRef misspelt", put(PIPELINE, f"{STAGE}/spec/service/serviceRef", "web_app"), "reference"),
    Mutation("no artifact", gone(SERVICE, "service/serviceDefinition/spec/artifacts"), "schema"),
    Mutation("no source of the artifact", put(SERVICE, "service/serviceDefinition/spec/artifacts/primary/primaryArtifactRef", "site"),
             "artifact"),
    Mutation("the artifact's tag in the service", put(SERVICE, f"{SOURCE}/spec/tag", "1.4.2"), "artifact"),
    Mutation("a moving tag in the service", put(SERVICE, f"{SOURCE}/spec/tag", "latest"), "artifact"),
    Mutation("the artifact left open in a later stage", put(PIPELINE, f"{STAGING}/spec/service", {"serviceRef": "webapp"}),
             "same-artifact"),
    Mutation("the artifact from the stage before, not the first",
             put(PIPELINE, f"{PRODUCTION_STAGE}/spec/service/useFromStage/stage", "approve_production"), "same-artifact"),
    Mutation("no wait for the Job", put(PIPELINE, f"{APPLY}/spec/skipSteadyStateCheck", True), "steady-state"),
    Mutation("no word on waiting for the Job", gone(PIPELINE, f"{APPLY}/spec/skipSteadyStateCheck"), "steady-state"),
    Mutation("no wait for the rollback", put(PIPELINE, f"{EXECUTION}/rollbackSteps/3/step/spec/skipSteadyStateCheck", True),
             "steady-state"),
    Mutation("the template not filled in", put(PIPELINE, f"{APPLY}/spec/skipRendering", True), "steady-state"),
    Mutation("a manifest that is not there", put(PIPELINE, f"{APPLY}/spec/filePaths/0", "jobs/depoly.yaml"), "reference"),
    Mutation("a manifest by its path from the top", put(PIPELINE, f"{APPLY}/spec/filePaths/0", "harness/manifests/jobs/deploy.yaml"),
             "reference"),
    Mutation("values that are not there", put(SERVICE, f"{MANIFEST}/valuesPaths/0", "values.yaml"), "reference"),
    Mutation("manifests that are not there", put(SERVICE, f"{MANIFEST}/store/spec/paths/0", "manifests"), "reference"),
    Mutation("a second try finds the first Job", gone(PIPELINE, f"{EXECUTION}/steps/0"), "retry"),
    Mutation("another Job is cleared", text(PIPELINE, "Job/webapp-deploy-", "Job/deploy-"), "retry"),
    Mutation("environments swapped", swap(PIPELINE, "environmentRef: dev", "environmentRef: production"), "stage-order"),
    Mutation("environments swapped, stages and all", both(
        swap(PIPELINE, "identifier: staging\n", "identifier: production\n"),
        swap(PIPELINE, "environmentRef: staging", "environmentRef: production")), "stage-order"),
    Mutation("an environment of the wrong kind", put(PRODUCTION, "environment/type", "PreProduction"), "stage-order"),
    Mutation("no staging", gone(PIPELINE, "pipeline/stages/1"), "stage-order"),
    Mutation("stages to pick from", put(PIPELINE, "pipeline/allowStageExecutions", True), "stage-order"),
    Mutation("a stage that may be skipped", put(PIPELINE, f"{STAGING}/when", {"pipelineStatus": "Success"}), "stage-order"),
    Mutation("approval gone", gone(PIPELINE, "pipeline/stages/2"), "approval"),
    Mutation("approval after production", 
             _edited(PIPELINE, lambda d: d["pipeline"]["stages"].append(d["pipeline"]["stages"].pop(2))), "approval"),
    Mutation("approval by nobody", put(PIPELINE, f"{APPROVE}/spec/approvers/minimumCount", 0), "approval"),
    Mutation("approval by oneself", put(PIPELINE, f"{APPROVE}/spec/approvers/disallowPipelineExecutor", False), "approval"),
    Mutation("approval ignored", put(PIPELINE, f"{APPROVAL}/failureStrategies/0/onFailure/action/type", "Ignore"), "approval"),
    Mutation("approval under a condition", put(PIPELINE, f"{APPROVAL}/when", {"pipelineStatus": "Success"}), "approval"),
    Mutation("no failure strategy", put(PIPELINE, f"{STAGE}/failureStrategies", []), "failure-strategy"),
    Mutation("failures ignored", put(PIPELINE, f"{STAGE}/failureStrategies/0/onFailure/action/type", "Ignore"), "failure-strategy"),
    Mutation("timeouts alone lead to a rollback",
             put(PIPELINE, f"{STAGE}/failureStrategies/0/onFailure/errors", ["Timeout"]), "failure-strategy"),
    Mutation("a failed deployment ignored", put(PIPELINE, f"{APPLY}/failureStrategies", [
        {"onFailure": {"errors": ["AllErrors"], "action": {"type": "Ignore"}}}]), "failure-strategy"),
    Mutation("production deployed to in another way", put(PIPELINE, f"{PRODUCTION_STAGE}/spec/execution/steps/1/step/timeout", "50m"),
             "stages-differ"),
    Mutation("two runs at once", put(DEV_INFRASTRUCTURE, "infrastructureDefinition/allowSimultaneousDeployments", True),
             "concurrency"),
    Mutation("no word on two runs at once", gone(DEV_INFRASTRUCTURE, "infrastructureDefinition/allowSimultaneousDeployments"),
             "concurrency"),
    Mutation("two environments in one namespace", put(DEV_INFRASTRUCTURE, "infrastructureDefinition/spec/namespace", "webapp-staging"),
             "shared-target"),
    Mutation("two environments in one bucket", text(DEV, "value: webapp-dev", "value: webapp-production"), "shared-target"),
    Mutation("an expression of a later stage",
             text(PIPELINE, "pipeline.stages.dev.spec", "pipeline.stages.production.spec"), "unresolved-expression"),
    Mutation("another project", put(DEV, "environment/projectIdentifier", "webap"), "reference"),
    Mutation("an identifier that is not the file's", put(DEV, "environment/identifier", "develop"), "reference"),
]

START = [
    Mutation("a pattern for anything", pattern(".*"), "trigger-pattern"),
    Mutation("a pattern for pre-releases too", pattern(PATTERN.replace("(_", "(-[0-9A-Za-z.-]+)?(_")), "trigger-pattern"),
    Mutation("a pattern without its ends", pattern(r"[0-9]+\.[0-9]+\.[0-9]+.*"), "trigger-pattern"),
    Mutation("a pattern with any character for the point", pattern(PATTERN.replace(r"\.", ".")), "trigger-pattern"),
    Mutation("a pattern for branches too", pattern(f"{PATTERN}|^branch-.*$"), "trigger-pattern"),
    Mutation("a pattern for single digits", pattern(r"^[0-9]\.[0-9]\.[0-9]$"), "trigger-pattern"),
    Mutation("a pattern without build metadata", pattern(PATTERN.replace("(_[0-9A-Za-z.-]+)?", "")), "trigger-pattern"),
    Mutation("a pattern for tags with a v", pattern("^v" + PATTERN[1:]), "trigger-pattern"),
    Mutation("a moving tag", pattern("^latest$"), "trigger-pattern"),
    Mutation("a moving tag beside releases", pattern(f"{PATTERN}|^latest$"), "trigger-pattern"),
    Mutation("no regular expression", pattern("(" + PATTERN), "trigger-pattern"),
    Mutation("compared, not matched", put(TRIGGER, f"{CONDITION}/operator", "Equals"), "trigger-pattern"),
    Mutation("a condition on something else", put(TRIGGER, f"{CONDITION}/key", "version"), "trigger-pattern"),
    Mutation("no condition", put(TRIGGER, "trigger/source/spec/spec/eventConditions", []), "trigger-pattern"),
    Mutation("another repository", put(TRIGGER, "trigger/source/spec/spec/imagePath", "deploy"), "trigger-artifact"),
    Mutation("another region", put(TRIGGER, "trigger/source/spec/spec/region", "us-east-1"), "trigger-artifact"),
    Mutation("another kind of registry", put(TRIGGER, "trigger/source/spec/type", "DockerRegistry"), "trigger-artifact"),
    Mutation("switched off", put(TRIGGER, "trigger/enabled", False), "trigger-artifact"),
    Mutation("a fixed tag", put(TRIGGER, "trigger/source/spec/spec/tag", "latest"), "trigger-artifact"),
    Mutation("another pipeline", put(TRIGGER, "trigger/pipelineIdentifier", "webapp"), "reference"),
    Mutation("no inputs", put(TRIGGER, "trigger/inputYaml", ""), "trigger-inputs"),
    Mutation("inputs for another stage", text(TRIGGER, "            identifier: dev", "            identifier: develop"), "trigger-inputs"),
    Mutation("a release by name", text(TRIGGER, "                                tag: <+trigger.artifact.build>",
                                       "                                tag: 1.4.2"), "trigger-inputs"),
    Mutation("the tag that was last", text(TRIGGER, "                                tag: <+trigger.artifact.build>",
                                           "                                tag: <+lastPublished.tag>"), "trigger-inputs"),
    Mutation("inputs that are not YAML", put(TRIGGER, "trigger/inputYaml", "pipeline: ["), "trigger-inputs"),
]

SECRETS = [
    Mutation("an access key in an environment", text(DEV, "value: Development", "value: AKIAIOSFODNN7EXAMPLE"), "secret-literal"),
    Mutation("a password by name", put(DEV, "environment/variables/5",
                                       {"name": "WEBAPP_PASSWORD", "type": "String", "value": "hunter2"}), "secret-literal"),
    Mutation("the header that opens a protected site", text(VALUES, "release:\n", "release:\n  DEPLOY_VERIFY_HEADER: 'X-Key: abc'\n"),
             "secret-literal"),
    Mutation("a private key", text(VALUES, "DEPLOY_LOG: json", "DEPLOY_LOG: '-----BEGIN RSA PRIVATE KEY-----'"), "secret-literal"),
    Mutation("a user and password in a URL", text(DEV, "https://api.dev", "https://ci:hunter2@api.dev"), "secret-literal"),
    Mutation("credentials in the Job", text(VALUES, "target:\n", "target:\n  AWS_ROLE_ARN: arn:aws:iam::1:role/x\n"), "credentials"),
    Mutation("an access key in the Job", text(VALUES, "target:\n", 'target:\n  AWS_SECRET_ACCESS_KEY: "<+artifact.tag>"\n'),
             "credentials"),
    Mutation("a password in a pipeline", text(WEBAPP_BITBUCKET, "- image-tagger cut", "- IMAGE_PASSWORD=hunter2 image-tagger cut"),
             "secret-literal"),
]

BITBUCKET = [
    Mutation("a docker service", put(WEBAPP_BITBUCKET, f"{CUT}/services", ["docker"]), "bitbucket-docker"),
    Mutation("no token", gone(WEBAPP_BITBUCKET, f"{CUT}/oidc"), "bitbucket-oidc"),
    Mutation("no role", text(WEBAPP_BITBUCKET, "AWS_ROLE_ARN=$AWS_REGISTRY_ROLE ", ""), "bitbucket-oidc"),
    Mutation("a variable of image-tagger misspelt", text(WEBAPP_BITBUCKET, "IMAGE_SITE=", "IMAGE_SITES="), "variable-unknown"),
    Mutation("a variable of image-tagger missing", text(WEBAPP_BITBUCKET, "IMAGE_SITE=dist ", ""), "variable-missing"),
    Mutation("another repository than the service's", text(WEBAPP_BITBUCKET, "amazonaws.com/webapp", "amazonaws.com/web"), "reference"),
    Mutation("a base without a version", text(WEBAPP_BITBUCKET, "/deploy:1.0.0", "/deploy"), "reference"),
    Mutation("no image of a tag", text(WEBAPP_BITBUCKET, "- image-tagger cut", "- image-tagger tags"), "bitbucket-release"),
    Mutation("an image of every branch", text(WEBAPP_BITBUCKET, "- image-tagger tags", "- image-tagger cut"), "bitbucket-release"),
    Mutation("tags of another form", text(WEBAPP_BITBUCKET, "'*.*.*':", "release-*:"), "bitbucket-release"),
    Mutation("an output that is none", put(WEBAPP_BITBUCKET, f"{CUT}/output-variables/0", "RELEASE"), "bitbucket-outputs"),
    Mutation("our images pushed untested", put(OWN_BITBUCKET, "pipelines/tags/*.*.*/0/step/script", ["true"]), "bitbucket-release"),
    Mutation("our images pushed from branches",
             _edited(OWN_BITBUCKET, lambda d: d["pipelines"]["default"].append(d["pipelines"]["tags"]["*.*.*"][1])),
             "bitbucket-release"),
    Mutation("our images pushed without a token", gone(OWN_BITBUCKET, "pipelines/tags/*.*.*/1/step/oidc"), "bitbucket-oidc"),
]

MUTATIONS = [*VARIABLES, *SHAPES, *JOB, *CHAIN, *START, *SECRETS, *BITBUCKET]
