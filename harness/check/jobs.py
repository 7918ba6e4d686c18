"""The Jobs of every environment, rendered and judged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from . import job as rules
from . import schema
from .durations import seconds
from .facts import SET_BY_EKS, SET_BY_IMAGE, facts, judge
from .files import PIPELINE, SERVICE, VALUES, Files
from .finding import Finding
from .rendering import JOBS, Execution, Unrenderable, environment_of, job

REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
# Tag and version of what may go through the pipeline.
RELEASES = (("1.4.2", "1.4.2"), ("1.4.2_build.7", "1.4.2+build.7"))
COMMANDS = {"deploy": "run", "rollback": "rollback"}


def image_path(files: Files) -> str:
    """The repository within the registry."""
    spec = files.parsed(SERVICE)["service"]["serviceDefinition"]["spec"]
    return spec["artifacts"]["primary"]["sources"][0]["spec"]["imagePath"]


def steps_for(files: Files, environment: str) -> dict[str, dict[str, Any]]:
    """The Apply steps of the environment's stage, by the manifest they apply."""
    found = {}
    for one in files.parsed(PIPELINE)["pipeline"]["stages"]:
        spec = one.get("stage", {}).get("spec", {})
        if spec.get("environment", {}).get("environmentRef") == environment:
            execution = spec["execution"]
            for wrapper in (*execution.get("steps", ()), *execution.get("rollbackSteps", ())):
                for manifest in wrapper["step"].get("spec", {}).get("filePaths", ()):
                    found[manifest] = wrapper["step"]
    return found


def check(files: Files) -> Iterator[Finding]:
    """Each Job in each environment."""
    for environment in files.environments():
        for kind, manifest in JOBS.items():
            path = f"{files.manifests_folder()}/{manifest}"
            if path not in files.texts:
                yield Finding(path, "reference", "there is no such manifest")
                continue
            try:
                yield from _check(files, environment, kind, path)
            except Unrenderable as error:
                yield Finding(path, "render", f"for {environment}: {error}")


def _check(files: Files, environment: str, kind: str, path: str) -> Iterator[Finding]:
    def told(found: rules.Told) -> Iterator[Finding]:
        return (Finding(path, rule, f"for {environment}: {message}") for rule, message in found)

    for tag, version in RELEASES:
        image = f"{REGISTRY}/{image_path(files)}:{tag}"
        execution = Execution(environment, 7, image, tag)
        one = job(files, kind, execution)
        other = job(files, kind, Execution(environment, 8, image, tag))
        shape = [*schema.kubernetes(path, one)]
        yield from shape
        if shape:
            # The other rules trust its shape.
            return
        if one["kind"] != "Job" or len(one["spec"]["template"]["spec"]["containers"]) != 1:
            yield Finding(path, "command", "is not a Job with one container")
            return
        if one["metadata"]["name"] == other["metadata"]["name"]:
            yield Finding(path, "job-name", "is the same in two executions, and a Job cannot be changed")
        if one["spec"]["template"]["spec"]["containers"][0]["image"] != image:
            yield Finding(path, "image-from-artifact", f"the image is not the pipeline's artifact, {image}")
        yield from told(rules.arguments(one, kind, version, execution.id))
    yield from told(rules.failure_policy(one))
    yield from told(rules.security(one))
    verdict = _judged(one, kind)
    yield from (Finding(path, rule, message) for rule, message in _variables(one, kind, environment, verdict))
    if verdict["problems"]:
        return
    step = steps_for(files, environment).get(JOBS[kind], {}).get("timeout")
    yield from told(rules.timeouts(one, verdict["settings"], seconds(step) if step else None))
    yield from told(rules.resources(one, verdict["settings"]))
    yield from _identity(files, environment, one, path)


def _judged(one: dict[str, Any], kind: str) -> dict[str, Any]:
    """What the binary says of the environment it will find itself in."""
    given = {name: value for name, value in environment_of(one).items() if isinstance(value, str)}
    [verdict] = judge([{"command": COMMANDS[kind], "variables": SET_BY_IMAGE | given}])
    return verdict


def _variables(one: dict[str, Any], kind: str, environment: str, verdict: dict[str, Any]) -> rules.Told:
    """Each variable the Job gets is one that its command reads, and it gets all that are required."""
    given = environment_of(one)
    prefix = given.get("DEPLOY_VALUES_PREFIX") or facts().variables["DEPLOY_VALUES_PREFIX"]["default"]
    where = f"for {environment}: "
    for name, value in given.items():
        variable = facts().variables.get(name)
        commands = variable and facts().readers(name, "deploy")
        if name.startswith(prefix):
            if COMMANDS[kind] not in (facts().readers("DEPLOY_VALUES_PREFIX", "deploy") or ()):
                yield "variable-not-read", f"{where}{name}: `{kind}` puts no values on a site"
        elif variable is None:
            yield "variable-unknown", f"{where}{name} is not a variable of deploy (docs/configuration.md)"
        elif commands is None or (commands and COMMANDS[kind] not in commands):
            yield "variable-not-read", f"{where}{name} is not read by `deploy {COMMANDS[kind]}`"
        elif name in SET_BY_IMAGE:
            yield "variable-set-by-image", f"{where}{name} is set in the image, and would be overruled"
        elif name in SET_BY_EKS or (name.startswith("AWS_") and variable["secret"]):
            yield "credentials", f"{where}{name} comes with the service account"
        elif variable["secret"] and isinstance(value, str):
            yield "secret-literal", f"{where}{name} is a secret: take it from a Kubernetes Secret (secretKeyRef)"
    # Rows that are repeated: the last counts, silently.
    names = [row["name"] for row in one["spec"]["template"]["spec"]["containers"][0].get("env", ())]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield "variable-twice", f"{where}{name} is there twice"
    for name, problem in verdict["problems"]:
        rule = "variable-missing" if problem.startswith("is not set") else "variable-invalid"
        yield rule, f"{where}{name} {problem}"
    for warning in verdict["warnings"]:
        yield "variable-unknown", f"{where}{warning}"


def _identity(files: Files, environment: str, one: dict[str, Any], path: str) -> Iterator[Finding]:
    """The pod's account exists in the namespace of the environment, and has a role."""
    namespaces = {
        i["spec"]["namespace"] for _, i in files.infrastructures().values() if i["environmentRef"] == environment
    }
    if one["metadata"].get("namespace", *namespaces or [None]) not in namespaces:
        yield Finding(path, "reference", f"for {environment}: metadata.namespace is not the infrastructure's")
    account = one["spec"]["template"]["spec"].get("serviceAccountName")
    objects = [document for file in files.under("harness/cluster") for document in files.documents(file)]
    for namespace in namespaces:
        if not any(o["kind"] == "Namespace" and o["metadata"]["name"] == namespace for o in objects):
            yield Finding(path, "reference", f"harness/cluster has no namespace {namespace}")
        held = [
            o
            for o in objects
            if o["kind"] == "ServiceAccount"
            and (o["metadata"]["namespace"], o["metadata"]["name"]) == (namespace, account)
        ]
        if not held:
            yield Finding(path, "service-account", f"harness/cluster has no account {account} in {namespace}")
        for one_account in held:
            if "eks.amazonaws.com/role-arn" not in one_account["metadata"].get("annotations", {}):
                yield Finding(path, "service-account", f"{account} in {namespace} has no role")


def check_environments(files: Files) -> Iterator[Finding]:
    """The environments define the same variables, each is used, and no two are one place."""
    environments = files.environments()
    names = {i: [v["name"] for v in e.get("variables", ())] for i, (_, e) in environments.items()}
    for identifier, (path, content) in environments.items():
        for name in sorted({n for n in names[identifier] if names[identifier].count(n) > 1}):
            yield Finding(path, "variable-twice", f"{name} is there twice")
        for name in names[identifier]:
            if f"<+env.variables.{name}>" not in files.texts[VALUES]:
                yield Finding(path, "variable-unused", f"{name} is taken into no value: {VALUES}")
            lacking = [other for other in names if name not in names[other]]
            if lacking:
                yield Finding(path, "variable-not-everywhere", f"{name} is not in {', '.join(lacking)}")
        for variable in content.get("variables", ()):
            if variable.get("type") != "String":
                yield Finding(path, "variable-type", f"{variable['name']}: only a String arrives as it is written")
    for name in ("DEPLOY_BUCKET", "DEPLOY_DISTRIBUTION_IDS", "DEPLOY_PUBLIC_URL"):
        owners: dict[str, str] = {}
        for identifier, (path, content) in environments.items():
            for variable in content.get("variables", ()):
                value = variable.get("value")
                if variable["name"] == name and owners.setdefault(value, identifier) != identifier:
                    yield Finding(path, "shared-target", f"{name} {value} is {owners[value]}'s too")
