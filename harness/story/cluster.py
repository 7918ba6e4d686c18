"""The Job controller's part, with podman for the kubelet's: pods of Jobs, run as their manifests say."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from check.job import action
from check.schema import kubernetes

from .process import program, run
from .telling import Teller, Wrong

CONTAINERS = """\
[containers]
base_hosts_file="{hosts}"
default_ulimits=["nofile=1024:1024","nproc=1024:1024"]
[engine]
cgroup_manager="cgroupfs"
runtime="runc"
events_logger="file"
"""


@dataclass
class Ended:
    """How a Job ended."""

    condition: str
    codes: list[int]
    log: str
    pods: list[str] = field(default_factory=list)

    def result(self) -> dict[str, Any]:
        """The line of the log in which `deploy` says how it went."""
        lines = (json.loads(line) for line in self.log.splitlines() if line.startswith("{"))
        return next(line for line in lines if "result" in line)


class Cluster:
    """Namespaces with Jobs in them."""

    def __init__(self, folder: Path, artefacts: Path, teller: Teller, names: Iterable[str]) -> None:
        """`names` are found at 127.0.0.1, as the cluster's DNS would find them elsewhere."""
        folder.mkdir(parents=True)
        self.folder, self.artefacts, self.teller = folder, artefacts, teller
        (folder / "hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *names)))
        (folder / "containers.conf").write_text(CONTAINERS.format(hosts=folder / "hosts"))
        self.jobs: dict[tuple[str, str], Ended] = {}
        self._looked_at = False

    def podman(self, *arguments: str) -> str:
        """Podman with storage of its own, set up for a machine without systemd."""
        environment = {**os.environ, "CONTAINERS_CONF": str(self.folder / "containers.conf")}
        return run(
            program("podman"),
            "--root",
            self.folder / "root",
            "--runroot",
            self.folder / "run",
            "--storage-driver",
            "overlay",
            *arguments,
            environment=environment,
        )

    def close(self) -> None:
        """Ends what runs, and lets go of its storage, which podman mounts while it works."""
        try:
            self.podman("pod", "rm", "--all", "--force", "--time", "0")
            if (self.folder / "root/overlay").is_mount():
                run(program("umount"), "--lazy", self.folder / "root/overlay")
        except Wrong as error:
            self.teller.say(f"  (left behind: {error})")

    def delete(self, namespace: str, name: str) -> None:
        """What `kubectl delete --ignore-not-found` does: the Job and its pods."""
        ended = self.jobs.pop((namespace, name), None)
        for pod in ended.pods if ended else ():
            self.podman("pod", "rm", "--force", pod)

    def apply(self, namespace: str, job: Mapping[str, Any], variables: Mapping[str, str]) -> Ended:
        """Runs a Job to its end, pod after pod, by its failure policy."""
        name = job["metadata"]["name"]
        if misshapen := list(kubernetes(name, job)):
            raise Wrong(f"Kubernetes refuses it: {misshapen}")
        if (namespace, name) in self.jobs:
            raise Wrong(f"{namespace} has a Job {name} already, and a Job cannot be changed")
        ended = self.jobs[namespace, name] = Ended("Running", [], "")
        while ended.condition == "Running":
            pod = f"{namespace}-{name}-{len(ended.codes)}"
            ended.pods.append(pod)
            code, ended.log = self._run(pod, job, variables)
            ended.codes.append(code)
            (self.artefacts / f"{pod}.log").write_text(ended.log)
            if code == 0:
                ended.condition = "Complete"
            elif action(job, code) == "FailJob" or len(ended.codes) > job["spec"]["backoffLimit"]:
                ended.condition = "Failed"
        self.teller.say(f"  Job {namespace}/{name}: {ended.condition}, exit code {', '.join(map(str, ended.codes))}")
        return ended

    def _run(self, name: str, job: Mapping[str, Any], variables: Mapping[str, str]) -> tuple[int, str]:
        """One pod of the Job. It gets what EKS would give it in another way: the network, and credentials."""
        spec = copy.deepcopy(job["spec"]["template"]["spec"]) | {"hostNetwork": True}
        container = spec["containers"][0]
        (self.artefacts / f"{name}.yaml").write_text(yaml.safe_dump(dict(job), sort_keys=False))
        container["env"] = [*container["env"], *({"name": key, "value": value} for key, value in variables.items())]
        manifest = self.folder / f"{name}.yaml"
        manifest.write_text(
            yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
        )
        self.podman("pull", "--quiet", "--tls-verify=false", container["image"])
        self.podman("play", "kube", str(manifest))
        told = f"{name}-{container['name']}"
        code = int(self.podman("wait", told).strip().splitlines()[-1])
        if not self._looked_at:
            self._look(told, container)
        return code, self.podman("logs", told)

    def _look(self, name: str, container: Mapping[str, Any]) -> None:
        """Podman reads of a pod what it knows, so what matters is looked at."""
        [found] = json.loads(self.podman("inspect", name))
        host = found["HostConfig"]
        self.teller.found("the pod's root is read-only", host["ReadonlyRootfs"])
        self.teller.found("its user is 65532", found["Config"]["User"] == "65532:65532", found["Config"]["User"])
        self.teller.found(
            "it has no capability, and can gain none",
            not found["EffectiveCaps"] and "no-new-privileges" in host["SecurityOpt"],
            host["SecurityOpt"],
        )
        limit = container["resources"]["limits"]["memory"]
        self.teller.found(
            f"its memory ends at {limit}", host["Memory"] == int(limit.removesuffix("Mi")) << 20, host["Memory"]
        )
        self._looked_at = True

    def kubectl(self, folder: Path) -> None:
        """A `kubectl` that knows `logs --selector job-name=…`, for the pipeline's own script."""
        shim = folder / "kubectl"
        shim.write_text(f"""#!/usr/bin/env bash
set -euo pipefail
[[ $1 == logs && -n $KUBECONFIG ]] || {{ echo "kubectl $*: not expected" >&2; exit 1; }}
while (($#)); do
    case $1 in
    --namespace) namespace=$2; shift ;;
    --selector) job=${{2#job-name=}}; shift ;;
    --tail) lines=$2; shift ;;
    esac
    shift
done
tail -q -n "$lines" "{self.artefacts}/$namespace-$job-"*.log
""")
        shim.chmod(0o755)
