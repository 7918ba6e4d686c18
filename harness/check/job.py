"""What Kubernetes' schema does not say of a Job, and ours must have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .facts import facts
from .rendering import environment_of

HOUR = 3600
# What becomes of a Job whose container ended with a code. A code that is new in `deploy --help` has to be decided here.
POLICY = {
    1: "Count",
    2: "FailJob",
    3: "FailJob",
    4: "FailJob",
    5: "Count",
    6: "FailJob",
    7: "FailJob",
    8: "FailJob",
    130: "Count",
    143: "Count",
}

Told = Iterator[tuple[str, str]]


def action(job: Mapping[str, Any], code: int, disrupted: bool = False) -> str:
    """What the Job controller does about a pod that ended so: the first rule that matches counts."""
    container = job["spec"]["template"]["spec"]["containers"][0]["name"]
    for rule in (job["spec"].get("podFailurePolicy") or {}).get("rules", ()):
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        is_for_it = codes is not None and codes.get("containerName", container) == container
        if is_for_it and (code in codes["values"]) == (codes["operator"] == "In"):
            return rule["action"]
        for condition in conditions or ():
            if disrupted and condition["type"] == "DisruptionTarget" and condition.get("status", "True") == "True":
                return rule["action"]
    return "Count"


def failure_policy(job: Mapping[str, Any]) -> Told:
    """Retries agree with what the exit codes mean."""
    known = facts().exit_codes
    for code in sorted(known.keys() ^ (POLICY.keys() | {0})):
        yield "exit-codes", f"code {code} is known either to `deploy --help` or to the check, not to both"
    for code, expected in POLICY.items():
        if (got := action(job, code)) != expected:
            yield "pod-failure-policy", f"exit code {code} ({known.get(code)}) leads to {got}, not to {expected}"
    for code in (137, 143):
        if (got := action(job, code, disrupted=True)) != "Ignore":
            yield "pod-failure-policy", f"a pod that its node lost ({code}) leads to {got}, not to Ignore"
    if (got := action(job, 6, disrupted=True)) != "FailJob":
        yield "pod-failure-policy", f"a verdict (6) on a node that goes away leads to {got}: put FailJob first"
    spec = job["spec"]
    if not 1 <= spec.get("backoffLimit", 6) <= 10:
        yield "backoff-limit", "backoffLimit: give what may pass some tries, and not for ever (1 to 10)"
    if spec["template"]["spec"].get("restartPolicy") != "Never":
        yield "restart-policy", "restartPolicy must be Never: podFailurePolicy asks for it, and each try keeps its log"
    if spec.get("podReplacementPolicy") != "Failed":
        yield "pod-failure-policy", "podReplacementPolicy must be Failed: no second pod beside one that still ends"


def timeouts(job: Mapping[str, Any], settings: Mapping[str, float], step: int | None) -> Told:
    """request < lease < grace period < deadline of the Job < timeout of the step, with room in between."""
    spec = job["spec"]
    deadline = spec.get("activeDeadlineSeconds", 0)
    grace = spec["template"]["spec"].get("terminationGracePeriodSeconds", 30)
    nested = [
        ("DEPLOY_REQUEST_TIMEOUT", settings["request_timeout"]),
        ("DEPLOY_LEASE", settings["lease"]),
        ("terminationGracePeriodSeconds", grace),
        ("activeDeadlineSeconds", deadline),
        ("the step's timeout", step or 0),
    ]
    for (inner, short), (outer, long) in zip(nested, nested[1:], strict=False):
        if not short < long:
            yield "timeouts", f"{inner} ({short:.0f} s) must be shorter than {outer} ({long:.0f} s)"
    needed = settings["lease_wait"] + settings["invalidation_timeout"] + grace
    if deadline < needed:
        yield (
            "timeouts",
            (
                f"activeDeadlineSeconds ({deadline}) is shorter than waiting for the lease, for the "
                f"invalidation and for the end ({needed:.0f} s) may take"
            ),
        )
    if step is not None and deadline + grace >= step:
        yield "timeouts", f"the Job may end {grace} s after its deadline: the step's timeout ({step} s) must be longer"
    ttl = spec.get("ttlSecondsAfterFinished")
    if ttl is None or not max(HOUR, step or 0) <= ttl <= 48 * HOUR:
        yield (
            "ttl",
            (
                "ttlSecondsAfterFinished: hours, longer than the step, at most two days. Harness fails a step "
                "whose Job is gone, and Jobs that stay pile up"
            ),
        )


def security(job: Mapping[str, Any]) -> Told:
    """The `restricted` Pod Security Standard, and nothing more than the run needs."""
    pod = job["spec"]["template"]["spec"]
    container = pod["containers"][0]
    context = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
    wanted = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        "capabilities": {"drop": ["ALL"]},
    }
    for name, value in wanted.items():
        if context.get(name) != value:
            yield "security-context", f"{name} must be {value}"
    for name in ("hostNetwork", "hostPID", "hostIPC", "volumes"):
        if pod.get(name):
            yield "security-context", f"{name}: the run needs none"
    if pod.get("automountServiceAccountToken") is not False:
        yield "security-context", "automountServiceAccountToken must be false: the run does not speak to Kubernetes"
    if pod.get("enableServiceLinks") is not False:
        yield (
            "service-links",
            (
                "enableServiceLinks must be false: a service called webapp would put WEBAPP_SERVICE_HOST "
                "into the environment, and so on the site"
            ),
        )


_UNITS = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "K": 10**3, "M": 10**6, "G": 10**9}


def _bytes(quantity: Any) -> int | None:
    found = re.fullmatch(r"(\d+)(|[KMG]i?)", str(quantity))
    return int(found[1]) * _UNITS[found[2]] if found else None


def resources(job: Mapping[str, Any], settings: Mapping[str, float]) -> Told:
    """Requests and a limit of memory, which must hold what the run buffers."""
    container = job["spec"]["template"]["spec"]["containers"][0]
    given = container.get("resources", {})
    request, limit = (_bytes(given.get(kind, {}).get("memory")) for kind in ("requests", "limits"))
    if not given.get("requests", {}).get("cpu") or request is None or limit is None:
        yield "resources", "requests of cpu and memory, and a limit of memory, in plain units"
    elif not settings["buffer"] < request <= limit or limit < 2 * settings["buffer"]:
        yield (
            "resources",
            f"DEPLOY_BUFFER ({settings['buffer']:.0f} bytes) must fit: below the request, twice in the limit",
        )
    if container.get("terminationMessagePolicy") != "FallbackToLogsOnError":
        yield "termination-message", "terminationMessagePolicy must be FallbackToLogsOnError"
    told = environment_of(job).get("DEPLOY_TERMINATION_LOG", "/dev/termination-log")
    if container.get("terminationMessagePath") != told:
        yield "termination-message", f"terminationMessagePath must be where deploy writes its result: {told}"


def arguments(job: Mapping[str, Any], kind: str, version: str, execution: str) -> Told:
    """The command, with the release that this pipeline deploys and the execution that does."""
    container = job["spec"]["template"]["spec"]["containers"][0]
    given = container.get("args")
    if kind == "deploy" and given != ["run"]:
        yield "command", f'args are {given}, not ["run"]'
    if kind == "rollback" and given != ["rollback", "--if-live", version]:
        yield "rollback-release", f"args are {given}: `rollback --if-live` must name this pipeline's release, {version}"
    if environment_of(job).get("DEPLOY_EXECUTION") != execution:
        yield (
            "execution",
            (
                "DEPLOY_EXECUTION must be <+pipeline.executionId> in both Jobs: else a rollback may undo what "
                "another run made live"
            ),
        )
    if "command" in container:
        yield "command", "command: the image knows its program"
