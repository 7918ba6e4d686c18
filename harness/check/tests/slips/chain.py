"""Slips in the chain of stages, and in what it refers to."""

from check.files import PIPELINE, SERVICE

from .edits import Mutation, both, edited, gone, moved, put, swap, text
from .places import (
    APPLY,
    APPROVAL,
    APPROVE,
    DEV,
    DEV_INFRASTRUCTURE,
    EXECUTION,
    MANIFEST,
    PRODUCTION,
    PRODUCTION_STAGE,
    SOURCE,
    STAGE,
    STAGING,
)

CHAIN = [
    Mutation(
        "rollbackSteps beside the execution",
        moved(PIPELINE, f"{EXECUTION}/rollbackSteps", f"{STAGE}/spec/rollbackSteps"),
        "unknown-key",
    ),
    Mutation("no rollbackSteps", gone(PIPELINE, f"{EXECUTION}/rollbackSteps"), "rollback-step"),
    Mutation(
        "a rollback that deploys",
        put(PIPELINE, f"{EXECUTION}/rollbackSteps/3/step/spec/filePaths/0", "jobs/deploy.yaml"),
        "rollback-step",
    ),
    Mutation(
        "a rollback beside a deployment that may still run",
        gone(PIPELINE, f"{EXECUTION}/rollbackSteps/1"),
        "rollback-step",
    ),
    Mutation("no environmentRef", gone(PIPELINE, f"{STAGE}/spec/environment/environmentRef"), "reference"),
    Mutation(
        "an environmentRef misspelt", put(PIPELINE, f"{STAGE}/spec/environment/environmentRef", "develop"), "reference"
    ),
    Mutation("no infrastructure", gone(PIPELINE, f"{STAGE}/spec/environment/infrastructureDefinitions"), "reference"),
    Mutation(
        "an infrastructure misspelt",
        put(PIPELINE, f"{STAGE}/spec/environment/infrastructureDefinitions/0/identifier", "develop"),
        "reference",
    ),
    Mutation(
        "another environment's infrastructure",
        put(PIPELINE, f"{STAGE}/spec/environment/infrastructureDefinitions/0/identifier", "production"),
        "reference",
    ),
    Mutation(
        "an infrastructure of another environment",
        put(DEV_INFRASTRUCTURE, "infrastructureDefinition/environmentRef", "production"),
        "reference",
    ),
    Mutation("no serviceRef", gone(PIPELINE, f"{STAGE}/spec/service/serviceRef"), "reference"),
    Mutation("a serviceRef misspelt", put(PIPELINE, f"{STAGE}/spec/service/serviceRef", "web_app"), "reference"),
    Mutation("no artifact", gone(SERVICE, "service/serviceDefinition/spec/artifacts"), "artifact"),
    Mutation(
        "no source of the artifact",
        put(SERVICE, "service/serviceDefinition/spec/artifacts/primary/primaryArtifactRef", "site"),
        "artifact",
    ),
    Mutation("the artifact's tag in the service", put(SERVICE, f"{SOURCE}/spec/tag", "1.4.2"), "artifact"),
    Mutation("a moving tag in the service", put(SERVICE, f"{SOURCE}/spec/tag", "latest"), "artifact"),
    Mutation(
        "the artifact left open in a later stage",
        put(PIPELINE, f"{STAGING}/spec/service", {"serviceRef": "webapp"}),
        "same-artifact",
    ),
    Mutation(
        "the artifact from the stage before, not the first",
        put(PIPELINE, f"{PRODUCTION_STAGE}/spec/service/useFromStage/stage", "approve_production"),
        "same-artifact",
    ),
    Mutation("no wait for the Job", put(PIPELINE, f"{APPLY}/spec/skipSteadyStateCheck", True), "steady-state"),
    Mutation("no word on waiting for the Job", gone(PIPELINE, f"{APPLY}/spec/skipSteadyStateCheck"), "steady-state"),
    Mutation(
        "no wait for the rollback",
        put(PIPELINE, f"{EXECUTION}/rollbackSteps/3/step/spec/skipSteadyStateCheck", True),
        "steady-state",
    ),
    Mutation("the template not filled in", put(PIPELINE, f"{APPLY}/spec/skipRendering", True), "steady-state"),
    Mutation(
        "a manifest that is not there", put(PIPELINE, f"{APPLY}/spec/filePaths/0", "jobs/depoly.yaml"), "reference"
    ),
    Mutation(
        "a manifest by its path from the top",
        put(PIPELINE, f"{APPLY}/spec/filePaths/0", "harness/manifests/jobs/deploy.yaml"),
        "reference",
    ),
    Mutation("values that are not there", put(SERVICE, f"{MANIFEST}/valuesPaths/0", "values.yaml"), "reference"),
    Mutation("manifests that are not there", put(SERVICE, f"{MANIFEST}/store/spec/paths/0", "manifests"), "reference"),
    Mutation("a second try finds the first Job", gone(PIPELINE, f"{EXECUTION}/steps/0"), "retry"),
    Mutation("another Job is cleared", text(PIPELINE, "Job/webapp-deploy-", "Job/deploy-"), "retry"),
    Mutation(
        "environments swapped", swap(PIPELINE, "environmentRef: dev", "environmentRef: production"), "stage-order"
    ),
    Mutation(
        "environments swapped, stages and all",
        both(
            swap(PIPELINE, "identifier: staging\n", "identifier: production\n"),
            swap(PIPELINE, "environmentRef: staging", "environmentRef: production"),
        ),
        "stage-order",
    ),
    Mutation("an environment of the wrong kind", put(PRODUCTION, "environment/type", "PreProduction"), "stage-order"),
    Mutation("no staging", gone(PIPELINE, "pipeline/stages/1"), "stage-order"),
    Mutation("stages to pick from", put(PIPELINE, "pipeline/allowStageExecutions", True), "stage-order"),
    Mutation(
        "a stage that may be skipped", put(PIPELINE, f"{STAGING}/when", {"pipelineStatus": "Success"}), "stage-order"
    ),
    Mutation("approval gone", gone(PIPELINE, "pipeline/stages/2"), "approval"),
    Mutation(
        "approval after production",
        edited(PIPELINE, lambda d: d["pipeline"]["stages"].append(d["pipeline"]["stages"].pop(2))),
        "approval",
    ),
    Mutation("approval by nobody", put(PIPELINE, f"{APPROVE}/spec/approvers/minimumCount", 0), "approval"),
    Mutation(
        "approval by oneself", put(PIPELINE, f"{APPROVE}/spec/approvers/disallowPipelineExecutor", False), "approval"
    ),
    Mutation(
        "approval ignored", put(PIPELINE, f"{APPROVAL}/failureStrategies/0/onFailure/action/type", "Ignore"), "approval"
    ),
    Mutation(
        "approval under a condition", put(PIPELINE, f"{APPROVAL}/when", {"pipelineStatus": "Success"}), "approval"
    ),
    Mutation("no failure strategy", put(PIPELINE, f"{STAGE}/failureStrategies", []), "failure-strategy"),
    Mutation(
        "failures ignored",
        put(PIPELINE, f"{STAGE}/failureStrategies/0/onFailure/action/type", "Ignore"),
        "failure-strategy",
    ),
    Mutation(
        "timeouts alone lead to a rollback",
        put(PIPELINE, f"{STAGE}/failureStrategies/0/onFailure/errors", ["Timeout"]),
        "failure-strategy",
    ),
    Mutation(
        "a failed deployment ignored",
        put(
            PIPELINE,
            f"{APPLY}/failureStrategies",
            [{"onFailure": {"errors": ["AllErrors"], "action": {"type": "Ignore"}}}],
        ),
        "failure-strategy",
    ),
    Mutation(
        "production deployed to in another way",
        put(PIPELINE, f"{PRODUCTION_STAGE}/spec/execution/steps/1/step/timeout", "50m"),
        "stages-differ",
    ),
    Mutation(
        "two runs at once",
        put(DEV_INFRASTRUCTURE, "infrastructureDefinition/allowSimultaneousDeployments", True),
        "concurrency",
    ),
    Mutation(
        "no word on two runs at once",
        gone(DEV_INFRASTRUCTURE, "infrastructureDefinition/allowSimultaneousDeployments"),
        "concurrency",
    ),
    Mutation(
        "two environments in one namespace",
        put(DEV_INFRASTRUCTURE, "infrastructureDefinition/spec/namespace", "webapp-staging"),
        "shared-target",
    ),
    Mutation(
        "two environments in one bucket", text(DEV, "value: webapp-dev", "value: webapp-production"), "shared-target"
    ),
    Mutation(
        "an expression of a later stage",
        text(PIPELINE, "pipeline.stages.dev.spec", "pipeline.stages.production.spec"),
        "unresolved-expression",
    ),
    Mutation("another project", put(DEV, "environment/projectIdentifier", "webap"), "reference"),
    Mutation("an identifier that is not the file's", put(DEV, "environment/identifier", "develop"), "reference"),
]
