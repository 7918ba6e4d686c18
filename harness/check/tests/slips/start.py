"""Slips in what starts the pipeline."""

from check.files import TRIGGER

from .edits import Edit, Mutation, put, text
from .places import CONDITION, PATTERN


def pattern(value: str) -> Edit:
    """Another pattern in the trigger."""
    return put(TRIGGER, f"{CONDITION}/value", value)


START = [
    Mutation("a pattern for anything", pattern(".*"), "trigger-pattern"),
    Mutation(
        "a pattern for pre-releases too", pattern(PATTERN.replace("(_", "(-[0-9A-Za-z.-]+)?(_")), "trigger-pattern"
    ),
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
    Mutation(
        "another kind of registry", put(TRIGGER, "trigger/source/spec/type", "DockerRegistry"), "trigger-artifact"
    ),
    Mutation("switched off", put(TRIGGER, "trigger/enabled", False), "trigger-artifact"),
    Mutation("a fixed tag", put(TRIGGER, "trigger/source/spec/spec/tag", "latest"), "trigger-artifact"),
    Mutation("another pipeline", put(TRIGGER, "trigger/pipelineIdentifier", "webapp"), "reference"),
    Mutation("no inputs", put(TRIGGER, "trigger/inputYaml", ""), "trigger-inputs"),
    Mutation(
        "inputs for another stage",
        text(TRIGGER, "            identifier: dev", "            identifier: develop"),
        "trigger-inputs",
    ),
    Mutation(
        "a release by name",
        text(
            TRIGGER,
            "                                tag: <+trigger.artifact.build>",
            "                                tag: 1.4.2",
        ),
        "trigger-inputs",
    ),
    Mutation(
        "the tag that was last",
        text(
            TRIGGER,
            "                                tag: <+trigger.artifact.build>",
            "                                tag: <+lastPublished.tag>",
        ),
        "trigger-inputs",
    ),
    Mutation("inputs that are not YAML", put(TRIGGER, "trigger/inputYaml", "pipeline: ["), "trigger-inputs"),
]
