"""Every rule, by name, and the way to run them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import yaml

from . import bitbucket, jobs, literals, pipeline, rendering, schema, trigger
from .files import Files
from .finding import Finding

RULES = {
    "approval": "a person stands before production",
    "artifact": "the service has one artifact, whose tag is given to each run",
    "backoff-limit": "what may pass is tried again, and not for ever",
    "bitbucket-docker": "a webapp's pipeline needs no docker service",
    "bitbucket-oidc": "pipelines log in by their token, not by a key",
    "bitbucket-outputs": "steps hand on only what image-tagger writes",
    "bitbucket-release": "tags are released, branches are tried",
    "command": "the Job runs the command it is named after",
    "concurrency": "one run per environment at a time",
    "credentials": "credentials come with the service account",
    "exit-codes": "the check knows the exit codes that the program has",
    "expression-in-manifest": "Harness resolves expressions in the values, not in manifests",
    "failure-strategy": "every failure of a stage leads to its rollback",
    "image-from-artifact": "the Job runs the image that goes through the pipeline",
    "job-name": "each execution has a Job of its own",
    "kubernetes": "Kubernetes knows the object and all its keys",
    "pod-failure-policy": "Kubernetes retries what the exit code says is worth it",
    "reference": "names that files use of each other resolve",
    "render": "manifests can be filled in",
    "resources": "memory holds what the run buffers",
    "restart-policy": "a failed pod is replaced, not restarted",
    "retry": "a step that is tried again starts over",
    "execution": "the deployment and the rollback know the execution that they belong to",
    "rollback-release": "the rollback undoes this pipeline's release",
    "rollback-step": "every stage can go back",
    "same-artifact": "later stages deploy the image of the first",
    "schema": "the file has the shape that its reader expects",
    "secret-literal": "no secret stands in a file",
    "security-context": "the pod has no right it does not need",
    "service-account": "the pod's account exists and has a role",
    "service-links": "the cluster's services do not reach the site",
    "shared-target": "environments are different places",
    "stage-order": "dev, then staging, then production",
    "stages-differ": "every environment is deployed to in the same way",
    "steady-state": "the step waits for the Job",
    "termination-message": "Kubernetes shows the run's result",
    "timeouts": "inner timeouts end before outer ones",
    "trigger-artifact": "the trigger watches the service's repository",
    "trigger-inputs": "the trigger gives the pipeline what it leaves open",
    "trigger-pattern": "releases start the pipeline, and no other tag does",
    "ttl": "Jobs stay until Harness looked, and are then cleaned up",
    "unknown-key": "no key is there that its reader does not know",
    "unresolved-expression": "expressions stand for something",
    "variable-invalid": "variables have values that the program accepts",
    "variable-missing": "variables that are required are set",
    "variable-not-everywhere": "environments define the same variables",
    "variable-not-read": "Jobs get only what their command reads",
    "variable-set-by-image": "what the image sets is left to it",
    "variable-twice": "a variable is set once",
    "variable-type": "environments hold plain strings",
    "variable-unknown": "variables are ones that the program knows",
    "variable-unused": "variables that an environment defines are used",
    "yaml": "the file is YAML, without a key that is there twice",
}

_CHECKS: tuple[Callable[[Files], Iterator[Finding]], ...] = (
    schema.check,
    rendering.check,
    jobs.check,
    jobs.check_environments,
    pipeline.check,
    pipeline.check_service,
    pipeline.check_entities,
    trigger.check,
    literals.check,
    bitbucket.check,
)


def check(files: Files) -> list[Finding]:
    """Everything that is wrong, sorted; each finding names its rule."""
    found: set[Finding] = set()
    for path in files.texts:
        try:
            if not path.startswith("harness/manifests/"):
                files.documents(path)
        except yaml.YAMLError as error:
            found.add(Finding(path, "yaml", str(error)))
    if found:
        return sorted(found)
    for one in _CHECKS:
        try:
            found.update(one(files))
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            # A shape that a schema refuses; without one, say so rather than break off.
            found.add(Finding("harness", "schema", f"{one.__module__}: something is missing: {error!r}"))
    return sorted(found)
