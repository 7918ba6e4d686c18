"""The chain of stages: one image through every environment, and the way back."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator
from typing import Any

from .files import PIPELINE, SERVICE, VALUES, Files, strings
from .finding import Finding
from .rendering import EXPRESSION, JOBS, Execution, Unrenderable, job

# In which order a release goes through them.
ORDER = ("dev", "staging", "production")


def _finding(rule: str, message: str) -> Finding:
    return Finding(PIPELINE, rule, message)


def _steps(wrappers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [wrapper["step"] for wrapper in wrappers or () if "step" in wrapper]


def _applied(step: dict[str, Any]) -> list[str]:
    return step.get("spec", {}).get("filePaths", []) if step.get("type") == "K8sApply" else []


def _deleted(step: dict[str, Any]) -> list[str]:
    resources = step.get("spec", {}).get("deleteResources", {}) if step.get("type") == "K8sDelete" else {}
    return resources.get("spec", {}).get("resourceNames", [])


def check(files: Files) -> Iterator[Finding]:
    """Every rule about the pipeline."""
    pipeline = files.parsed(PIPELINE)["pipeline"]
    stages = [wrapper["stage"] for wrapper in pipeline["stages"] if "stage" in wrapper]
    deployments = [stage for stage in stages if stage["type"] == "Deployment"]
    yield from _order(files, stages, deployments)
    if pipeline.get("allowStageExecutions") is not False:
        yield _finding(
            "stage-order", "allowStageExecutions must be false: nobody picks a stage and skips the one before"
        )
    for index, stage in enumerate(deployments):
        yield from _service(files, stage, deployments[0] if index else None)
        yield from _environment(files, stage)
        yield from _execution(files, stage)
    shapes = {json.dumps(stage["spec"].get("execution"), sort_keys=True) for stage in deployments}
    if len(shapes) > 1:
        yield _finding(
            "stages-differ", "stages run different steps: what passed one environment is not what the next does"
        )
    yield from _expressions(stages)
    yield from _concurrency(files)


def _order(files: Files, stages: list[dict[str, Any]], deployments: list[dict[str, Any]]) -> Iterator[Finding]:
    """dev, staging, production; and a person before any environment that visitors see."""
    order = tuple(stage["spec"].get("environment", {}).get("environmentRef") for stage in deployments)
    if order != ORDER:
        yield _finding("stage-order", f"a release goes through {', '.join(map(str, order))}, not {', '.join(ORDER)}")
    environments = files.environments()
    for position, stage in enumerate(stages):
        if stage["type"] != "Deployment":
            continue
        environment = stage["spec"].get("environment", {}).get("environmentRef")
        if stage["identifier"] != environment:
            yield _finding("stage-order", f"the stage {stage['identifier']} deploys to {environment}")
        _, content = environments.get(environment, ("", {}))
        expected = "Production" if environment == ORDER[-1] else "PreProduction"
        if content and content["type"] != expected:
            yield Finding(f"harness/environments/{environment}.yaml", "stage-order", f"type must be {expected}")
        if content.get("type") == "Production" or environment == ORDER[-1]:
            before = stages[position - 1] if position else {"type": None}
            yield from _approval(before)


def _approval(stage: dict[str, Any]) -> Iterator[Finding]:
    steps = _steps(stage["spec"]["execution"]["steps"]) if stage["type"] == "Approval" else []
    approvals = [step for step in steps if step["type"] == "HarnessApproval"]
    if not approvals:
        yield _finding("approval", "no stage with a HarnessApproval right before production")
    for step in approvals:
        approvers = step["spec"].get("approvers", {})
        if not approvers.get("userGroups") or approvers.get("minimumCount", 0) < 1:
            yield _finding("approval", "approvers: one of a user group at the least")
        if approvers.get("disallowPipelineExecutor") is not True:
            yield _finding("approval", "disallowPipelineExecutor must be true: nobody approves a run of their own")
        if "autoApproval" in step["spec"] or "when" in step:
            yield _finding("approval", "an approval that happens by itself is none")
    if approvals and "when" in stage:
        yield _finding("approval", "the stage of the approval must not be conditional")
    for strategy in stage.get("failureStrategies", ()) if approvals else ():
        if strategy["onFailure"]["action"].get("type") not in ("MarkAsFailure", "Abort"):
            yield _finding("approval", "what is not approved must end the pipeline: MarkAsFailure or Abort")


def _service(files: Files, stage: dict[str, Any], first: dict[str, Any] | None) -> Iterator[Finding]:
    """The first stage takes the artifact, the later ones what went through the first."""
    service = stage["spec"].get("service", {})
    name = stage["identifier"]
    if first is None:
        known = files.parsed(SERVICE)["service"]["identifier"]
        if service.get("serviceRef") != known:
            yield _finding("reference", f"{name}: serviceRef is {service.get('serviceRef')}, the service is {known}")
        return
    if service.get("useFromStage", {}).get("stage") != first["identifier"] or "serviceRef" in service:
        yield _finding("same-artifact", f"{name}: useFromStage must name {first['identifier']}, whose image was tried")


def _environment(files: Files, stage: dict[str, Any]) -> Iterator[Finding]:
    spec, name = stage["spec"].get("environment", {}), stage["identifier"]
    environment = spec.get("environmentRef")
    if environment not in files.environments():
        yield _finding("reference", f"{name}: there is no environment {environment}")
    named = [one["identifier"] for one in spec.get("infrastructureDefinitions", ())]
    if len(named) != 1:
        yield _finding("reference", f"{name}: one infrastructure, not {len(named)}")
    for identifier in named:
        path, infrastructure = files.infrastructures().get(identifier, ("", None))
        if infrastructure is None:
            yield _finding("reference", f"{name}: there is no infrastructure {identifier}")
        elif infrastructure["environmentRef"] != environment:
            yield Finding(
                path, "reference", f"is {infrastructure['environmentRef']}'s, and {name} uses it for {environment}"
            )


def _execution(files: Files, stage: dict[str, Any]) -> Iterator[Finding]:
    name, execution = stage["identifier"], stage["spec"].get("execution", {})
    ways = {"deploy": _steps(execution.get("steps")), "rollback": _steps(execution.get("rollbackSteps"))}
    for kind, steps in ways.items():
        applied = [step for step in steps if _applied(step)]
        if [_applied(step) for step in applied] != [[JOBS[kind]]]:
            yield _finding(
                "rollback-step" if kind == "rollback" else "reference",
                f"{name}: the {kind} steps must apply {JOBS[kind]}, and nothing else",
            )
        for step in applied:
            yield from _apply(files, name, kind, step, steps)
    if "when" in stage or any("when" in step for steps in ways.values() for step in steps):
        yield _finding("stage-order", f"{name}: neither the stage nor its steps may be conditional")
    stops = [step for step in ways["rollback"] if _job_name(files, stage, "deploy") in _resolved(_deleted(step))]
    if not stops:
        yield _finding(
            "rollback-step", f"{name}: stop the deployment's Job before rolling back: it may still be running"
        )
    actions = {
        (error, strategy["onFailure"]["action"].get("type"))
        for strategy in stage.get("failureStrategies", ())
        for error in strategy["onFailure"].get("errors", ())
    }
    if actions != {("AllErrors", "StageRollback")}:
        yield _finding("failure-strategy", f"{name}: AllErrors must lead to StageRollback")
    for step in (step for steps in ways.values() for step in steps if _applied(step)):
        if "failureStrategies" in step:
            yield _finding(
                "failure-strategy", f"{name}.{step['identifier']}: the stage decides what a failure leads to"
            )


def _resolved(names: list[str]) -> list[str]:
    return [name.replace("<+pipeline.sequenceId>", "7") for name in names]


def _job_name(files: Files, stage: dict[str, Any], kind: str) -> str | None:
    """As a delete step names it."""
    environment = stage["spec"].get("environment", {}).get("environmentRef")
    if environment not in files.environments():
        return None
    try:
        rendered = job(files, kind, Execution(environment, 7, "image:1.4.2", "1.4.2"))
        return f"Job/{rendered['metadata']['name']}"
    except (Unrenderable, KeyError, TypeError):
        return None


def _apply(files: Files, name: str, kind: str, step: dict[str, Any], steps: list[dict[str, Any]]) -> Iterator[Finding]:
    spec, label = step["spec"], f"{name}.{step['identifier']}"
    if spec.get("skipSteadyStateCheck") is not False:
        yield _finding(
            "steady-state", f"{label}: skipSteadyStateCheck must be false: else the step does not wait for the Job"
        )
    if spec.get("skipRendering") not in (None, False):
        yield _finding("steady-state", f"{label}: skipRendering must be false: the manifest is a template")
    folder = files.manifests_folder()
    for path in spec["filePaths"]:
        if posixpath.dirname(path) == "" or posixpath.join(folder, path) not in files.texts:
            yield _finding("reference", f"{label}: {path} is no file in a folder below {folder}")
    before = steps[: steps.index(step)]
    stage = {"spec": {"environment": {"environmentRef": name}}}
    if not any(_job_name(files, stage, kind) in _resolved(_deleted(earlier)) for earlier in before):
        yield _finding(
            "retry", f"{label}: delete the Job of the same name first, or a step that is tried again finds it"
        )


# Beside what is known within a stage of an environment.
_KNOWN = {"pipeline.sequenceId", "infra.namespace", "artifact.tag", "env.identifier", "input"}


def _expressions(stages: list[dict[str, Any]]) -> Iterator[Finding]:
    seen: set[str] = set()
    for stage in stages:
        for place, text in strings(stage):
            for expression in EXPRESSION.findall(text):
                parts = expression.split(".")
                earlier = parts[:2] == ["pipeline", "stages"] and parts[2] in seen
                if expression not in _KNOWN and not (earlier and parts[3:] == ["spec", "artifacts", "primary", "tag"]):
                    yield _finding("unresolved-expression", f"{place}: <+{expression}> stands for nothing there")
        seen.add(stage["identifier"])


def _concurrency(files: Files) -> Iterator[Finding]:
    """Harness keeps one service and infrastructure to one stage at a time unless told otherwise."""
    namespaces: dict[str, str] = {}
    for identifier, (path, content) in files.infrastructures().items():
        if content.get("allowSimultaneousDeployments") is not False:
            yield Finding(path, "concurrency", "allowSimultaneousDeployments must be false: one run at a time")
        namespace = content["spec"].get("namespace")
        if namespaces.setdefault(namespace, identifier) != identifier:
            yield Finding(path, "shared-target", f"the namespace {namespace} is {namespaces[namespace]}'s too")


def check_service(files: Files) -> Iterator[Finding]:
    """The service names files that are there, and leaves the tag alone to be given."""
    spec = files.parsed(SERVICE)["service"]["serviceDefinition"]["spec"]
    primary = spec.get("artifacts", {}).get("primary", {})
    sources = primary.get("sources", [])
    if len(sources) != 1 or primary.get("primaryArtifactRef") != sources[0].get("identifier"):
        yield Finding(SERVICE, "artifact", "one source, and primaryArtifactRef names it")
    for source in sources:
        if source.get("spec", {}).get("tag") != "<+input>":
            yield Finding(
                SERVICE, "artifact", "tag must be <+input>: which release it is comes from the trigger or a person"
            )
    for wrapper in spec.get("manifests", ()):
        for path in wrapper["manifest"]["spec"].get("valuesPaths", ()):
            if path not in files.texts:
                yield Finding(SERVICE, "reference", f"valuesPaths: there is no {path}")
    if VALUES not in [path for w in spec.get("manifests", ()) for path in w["manifest"]["spec"].get("valuesPaths", ())]:
        yield Finding(SERVICE, "reference", f"valuesPaths must name {VALUES}")
    if not list(files.under(files.manifests_folder())):
        yield Finding(SERVICE, "reference", f"paths: nothing is below {files.manifests_folder()}")


def check_entities(files: Files) -> Iterator[Finding]:
    """Every entity is of one organisation and project, and bears the name of its file."""
    scopes = {}
    documents = {
        path: next(iter(files.parsed(path).values()))
        for path in files.texts
        if path.startswith("harness/")
        and path != VALUES
        and not path.startswith(("harness/cluster/", "harness/manifests/"))
    }
    for path, content in documents.items():
        scopes[path] = (content.get("orgIdentifier"), content.get("projectIdentifier"))
        folder, file = posixpath.split(path)
        if folder != "harness" and content["identifier"] != file.removesuffix(".yaml"):
            yield Finding(path, "reference", f"identifier {content['identifier']} is not the name of the file")
    for path, scope in scopes.items():
        if None in scope or scope != scopes[SERVICE]:
            yield Finding(path, "reference", f"is of {scope}, and the service of {scopes[SERVICE]}")
