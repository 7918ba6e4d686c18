"""Keys and types that no reader expects."""

from check.files import OWN_BITBUCKET, PIPELINE, SERVICE, TRIGGER, WEBAPP_BITBUCKET

from .edits import Mutation, moved, put, text
from .places import APPLY, APPROVE, CLUSTER, CONDITION, CUT, DEPLOY, DEV, DEV_INFRASTRUCTURE, MANIFEST, SOURCE, STAGE

SHAPES = [
    Mutation("an unknown key at the top of the service", put(SERVICE, "service/artefacts", {}), "unknown-key"),
    Mutation(
        "an unknown key in the artifact",
        moved(SERVICE, f"{SOURCE}/spec/imagePath", f"{SOURCE}/spec/imagepath"),
        "unknown-key",
    ),
    Mutation(
        "an unknown key in the manifest",
        moved(SERVICE, f"{MANIFEST}/valuesPaths", f"{MANIFEST}/valuePaths"),
        "unknown-key",
    ),
    Mutation("an unknown key in the store", put(SERVICE, f"{MANIFEST}/store/spec/repository", "webapp"), "unknown-key"),
    Mutation("an unknown key in an environment", put(DEV, "environment/kind", "PreProduction"), "unknown-key"),
    Mutation(
        "an unknown key in an environment's variable", put(DEV, "environment/variables/0/secret", True), "unknown-key"
    ),
    Mutation(
        "an unknown key in an infrastructure",
        put(DEV_INFRASTRUCTURE, "infrastructureDefinition/spec/cluster", "dev"),
        "unknown-key",
    ),
    Mutation("an unknown key in the pipeline", put(PIPELINE, "pipeline/concurrency", 1), "unknown-key"),
    Mutation("an unknown key in a stage", put(PIPELINE, f"{STAGE}/retries", 1), "unknown-key"),
    Mutation("an unknown key in a stage's spec", put(PIPELINE, f"{STAGE}/spec/envs", {}), "unknown-key"),
    Mutation("an unknown key in a step", put(PIPELINE, f"{APPLY}/retry", 1), "unknown-key"),
    Mutation("an unknown key in a step's spec", put(PIPELINE, f"{APPLY}/spec/skipSteadyState", False), "unknown-key"),
    Mutation(
        "an unknown key in a failure strategy",
        put(PIPELINE, f"{STAGE}/failureStrategies/0/onFailure/errorTypes", []),
        "unknown-key",
    ),
    Mutation("an unknown key in the approvers", put(PIPELINE, f"{APPROVE}/spec/approvers/groups", []), "unknown-key"),
    Mutation("an unknown key in the trigger", put(TRIGGER, "trigger/pipeline", "webapp_release"), "unknown-key"),
    Mutation("an unknown key in the trigger's condition", put(TRIGGER, f"{CONDITION}/regex", True), "unknown-key"),
    Mutation(
        "an unknown key in the Job", text(DEPLOY, "  backoffLimit:", "  retries: 3\n  backoffLimit:"), "kubernetes"
    ),
    Mutation(
        "an unknown key in the pod",
        text(DEPLOY, "      restartPolicy:", "      restart: 1\n      restartPolicy:"),
        "kubernetes",
    ),
    Mutation(
        "an unknown key in the container",
        text(DEPLOY, "          resources:", "          arguments: []\n          resources:"),
        "kubernetes",
    ),
    Mutation("an unknown key in the failure policy", text(DEPLOY, "onExitCodes:", "exitCodes:"), "kubernetes"),
    Mutation("an unknown key in the namespace", text(CLUSTER, "  labels:", "  label:"), "kubernetes"),
    Mutation("an unknown key in Bitbucket's step", put(WEBAPP_BITBUCKET, f"{CUT}/scripts", []), "unknown-key"),
    Mutation("an unknown key in Bitbucket's pipelines", put(WEBAPP_BITBUCKET, "pipelines/tag", []), "unknown-key"),
    Mutation(
        "a script that is no list", put(OWN_BITBUCKET, "pipelines/default/0/step/script", "scripts/test"), "schema"
    ),
    Mutation("a step size that is none", put(OWN_BITBUCKET, "pipelines/tags/*.*.*/1/step/size", "3x"), "schema"),
    Mutation("a step type misspelt", put(PIPELINE, f"{APPLY}/type", "K8SApply"), "schema"),
    Mutation(
        "a number with a unit where a number is",
        text(DEPLOY, "activeDeadlineSeconds: 2400", "activeDeadlineSeconds: 40m"),
        "kubernetes",
    ),
    Mutation("a timeout without a unit", put(PIPELINE, f"{APPLY}/timeout", 2700), "schema"),
    Mutation("a template that does not close", text(DEPLOY, "{{- end }}", ""), "render"),
    Mutation("a value that is not there", text(DEPLOY, ".Values.image", ".Values.img"), "render"),
    Mutation(
        "an expression in a manifest",
        text(DEPLOY, "{{ .Values.image | quote }}", "<+artifact.image>"),
        "expression-in-manifest",
    ),
    Mutation("an action that is none", text(PIPELINE, "type: StageRollback", "type: StageRolback"), "failure-strategy"),
]
