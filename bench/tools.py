"""What is measured: `deploy`, the floor, and the tools a user would take instead."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
TOOLS = TARGET / "bench-tools"
WORK = TARGET / "bench"

# Requests that `deploy` has in flight by default; the others are told to, where they let one say so.
IN_FLIGHT = 64


class Tool:
    """A program that brings a directory into the bucket. `again` is how it is called where the directory is there
    already: it compares by content, unless `by_time`. `as_it_comes` is how it is called by who sets nothing."""

    def __init__(self, name, command, again=None, by_time=False, as_it_comes=None, environment=None):
        self.name, self.by_time = name, by_time
        self.cold, self.again, self.as_it_comes = command, again or command, as_it_comes or command
        self.environment = environment or (lambda store, tree, release: {})


def deploy_environment(store, tree, release):
    # Without a distribution: the others invalidate nothing.
    return {
        "DEPLOY_SOURCE": str(tree),
        "DEPLOY_VERSION": f"1.{release}.0",
        "DEPLOY_BUCKET": store.bucket,
        "DEPLOY_FORCE_PATH_STYLE": "true",
    }


def rclone_environment(store, tree, release):
    return {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_T_TYPE": "s3",
        "RCLONE_CONFIG_T_PROVIDER": "Other",
        "RCLONE_CONFIG_T_ENV_AUTH": "true",
        "RCLONE_CONFIG_T_REGION": store.environment["AWS_REGION"],
        "RCLONE_CONFIG_T_ENDPOINT": store.environment["AWS_ENDPOINT_URL_S3"],
        "RCLONE_CONFIG_T_LIST_VERSION": "2",
        "RCLONE_CONFIG_T_NO_CHECK_BUCKET": "true",
    }


def aws_config(text):
    def environment(store, tree, release):
        config = WORK / "aws-config"
        config.write_text(text)
        return {"AWS_CONFIG_FILE": str(config)}

    return environment


def all_tools(programs):
    """Ours first. `programs` is the folder of what is built here."""
    venv = TOOLS / "venv/bin"
    endpoint = lambda store: store.environment["AWS_ENDPOINT_URL_S3"]

    def s5cmd(*more):
        return lambda s, t: [venv / "s5cmd", "--log", "error", "--endpoint-url", endpoint(s), *more, "sync", f"{t}/", f"s3://{s.bucket}/"]

    def rclone(*more):
        return lambda s, t: [venv / "rclone", "copy", "-q", "--checksum", *more, t, f"t:{s.bucket}"]

    def s3sync(*more):
        return lambda s, t: [
            TOOLS / "cargo/bin/s3sync", "-qq", "--check-etag", *more,
            "--target-endpoint-url", endpoint(s), "--target-force-path-style",
            "--target-access-key", s.environment["AWS_ACCESS_KEY_ID"],
            "--target-secret-access-key", s.environment["AWS_SECRET_ACCESS_KEY"],
            "--target-region", s.environment["AWS_REGION"],
            f"{t}/", f"s3://{s.bucket}/",
        ]

    def aws(s, t):
        return [venv / "aws", "s3", "sync", "--only-show-errors", "--endpoint-url", endpoint(s), t, f"s3://{s.bucket}/"]

    return [
        Tool("deploy", lambda s, t: [programs / "deploy", "run"], environment=deploy_environment),
        Tool(
            "floor",
            lambda s, t: [programs / "bench-floor", "put", t],
            lambda s, t: [programs / "bench-floor", "again", t],
            environment=lambda s, t, r: {"FLOOR_BUCKET": s.bucket},
        ),
        Tool("s5cmd", s5cmd("--numworkers", str(IN_FLIGHT)), by_time=True, as_it_comes=s5cmd()),
        Tool(
            "rclone",
            rclone("--fast-list", "--transfers", str(IN_FLIGHT), "--checkers", str(IN_FLIGHT)),
            as_it_comes=rclone(),
            environment=rclone_environment,
        ),
        Tool("s3sync", s3sync("--worker-size", str(IN_FLIGHT)), as_it_comes=s3sync()),
        Tool(
            "aws",
            aws,
            by_time=True,
            as_it_comes=lambda s, t: ["env", "-u", "AWS_CONFIG_FILE", *aws(s, t)],
            environment=aws_config(f"[default]\ns3 =\n  max_concurrent_requests = {IN_FLIGHT}\n  addressing_style = path\n"),
        ),
    ]
