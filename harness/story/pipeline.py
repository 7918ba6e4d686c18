"""Harness's part: walks the stages of `harness/pipeline.yaml` with one artifact."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from check.files import PIPELINE, Files
from check.rendering import EXPRESSION, JOBS, Execution, job

from .cloud import Site
from .cluster import Cluster, Ended
from .process import program, run
from .telling import Teller, Wrong


@dataclass
class Harness:
    """The pipeline, the environments it deploys to, and who approves."""

    files: Files
    sites: Mapping[str, Site]
    cluster: Cluster
    teller: Teller
    folder: Path
    runs: int = 0

    def start(self, image: str, tag: str, approve: Callable[[str], bool]) -> Run:
        """A run of the pipeline, to its end."""
        self.runs += 1
        one = Run(self, self.runs, image, tag)
        for wrapper in self.files.parsed(PIPELINE)["pipeline"]["stages"]:
            stage = wrapper["stage"]
            self.teller.say(f"  Harness, run {one.sequence} of {tag}: stage {stage['name']}")
            if stage["type"] == "Approval":
                message = stage["spec"]["execution"]["steps"][0]["step"]["spec"]["approvalMessage"]
                passed = approve(EXPRESSION.sub(tag, message))
                self.teller.say(f"  {'approved' if passed else 'rejected'} by a person")
            else:
                passed = one.stage(stage)
            one.stages[stage["identifier"]] = passed
            if not passed:
                break
        return one


@dataclass
class Run:
    """One release on its way."""

    harness: Harness
    sequence: int
    image: str
    tag: str
    stages: dict[str, bool] = field(default_factory=dict)
    jobs: dict[tuple[str, str], Ended] = field(default_factory=dict)
    shown: str = ""

    def stage(self, stage: Mapping[str, Any]) -> bool:
        """Its steps; where one fails, its rollback steps."""
        environment = stage["spec"]["environment"]["environmentRef"]
        execution = stage["spec"]["execution"]
        if all(self._step(environment, wrapper["step"]) for wrapper in execution["steps"]):
            return True
        [action] = {one["onFailure"]["action"]["type"] for one in stage["failureStrategies"]}
        self.harness.teller.say(f"  {action}")
        for wrapper in execution["rollbackSteps"]:
            if not self._step(environment, wrapper["step"]):
                raise Wrong(f"the rollback of {environment} failed: {self.jobs}")
        return False

    def execution(self, environment: str) -> Execution:
        """What expressions stand for: the environment's own values, but for what this machine's cloud made up."""
        site = self.harness.sites[environment]
        here = {"DEPLOY_DISTRIBUTION_IDS": site.distribution, "DEPLOY_PUBLIC_URL": site.url}
        return Execution(environment, self.sequence, self.image, self.tag, tuple(here.items()))

    def apply(self, environment: str, kind: str) -> Ended:
        """Applies a Job, and waits for it."""
        site = self.harness.sites[environment]
        execution = self.execution(environment)
        variables = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{site.cloud.port}",
            "DEPLOY_FORCE_PATH_STYLE": "true",
            "AWS_ACCESS_KEY_ID": site.keys[0],
            "AWS_SECRET_ACCESS_KEY": site.keys[1],
        }
        namespace = execution.resolve(self.harness.files, "infra.namespace")
        rendered = job(self.harness.files, kind, execution)
        ended = self.harness.cluster.apply(str(namespace), rendered, variables)
        self.jobs[environment, kind] = ended
        return ended

    def _step(self, environment: str, step: Mapping[str, Any]) -> bool:
        spec, execution = step["spec"], self.execution(environment)

        def resolved(text: str) -> str:
            return EXPRESSION.sub(lambda match: str(execution.resolve(self.harness.files, match[1])), text)

        namespace = resolved("<+infra.namespace>")
        if step["type"] == "K8sDelete":
            for name in spec["deleteResources"]["spec"]["resourceNames"]:
                self.harness.cluster.delete(namespace, resolved(name).removeprefix("Job/"))
            return True
        if step["type"] == "K8sApply":
            [kind] = [kind for kind, path in JOBS.items() if [path] == spec["filePaths"]]
            return self.apply(environment, kind).condition == "Complete"
        if step["type"] == "ShellScript":
            self.harness.cluster.kubectl(self.harness.folder)
            given = {
                **os.environ,
                "PATH": f"{self.harness.folder}:{os.environ['PATH']}",
                "HARNESS_KUBE_CONFIG_PATH": "here",
            }
            self.shown = run(program("bash"), "-c", resolved(spec["source"]["spec"]["script"]), environment=given)
            self.harness.teller.say("\n".join(f"    | {line[:200]}" for line in self.shown.splitlines()[-3:]))
            return True
        raise Wrong(f"no such step: {step['type']}")
