"""The story, told from a tag to a browser, and of a release that is broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

from check.facts import SET_BY_IMAGE, renderer
from check.files import ROOT, Files

from .browser import open_site
from .cloud import Cloud, Site, cloud
from .cluster import Cluster
from .pipeline import Harness
from .process import program
from .registry import Registry, Trigger, registry
from .repository import Repository
from .telling import Missing, Teller, Wrong

ENVIRONMENTS = ("dev", "staging", "production")
ARTEFACTS = ROOT / "target/story"


def sites(files: Files, account: Cloud) -> dict[str, Site]:
    """One for each environment, in the bucket that its file names."""
    made = {}
    for name in ENVIRONMENTS:
        _, content = files.environments()[name]
        given = {variable["name"]: variable["value"] for variable in content["variables"]}
        made[name] = account.site(name, given["DEPLOY_BUCKET"], given["DEPLOY_REGION"])
    return made


class Story:
    """Everybody in it."""

    def __init__(self, teller: Teller, scratch: Path, account: Cloud, images: Registry) -> None:
        self.teller = teller
        self.files = Files.read()
        self.sites = sites(self.files, account)
        self.images = images
        self.repository = Repository(scratch, self.files, images.host, teller)
        self.trigger = Trigger(self.files, images, "webapp")
        self.cluster = Cluster(scratch / "podman", teller.folder, teller, [site.domain for site in self.sites.values()])
        self.harness = Harness(self.files, self.sites, self.cluster, teller, scratch)
        self.found = teller.found

    def tell(self) -> None:
        """From the first release to the way on after a broken one."""
        self.found("the registry is empty at the trigger's first look", self.trigger.poll() == ([], []))
        self.first_release()
        self.not_released()
        self.broken_release()
        self.the_way_on()

    def released(self, tag: str) -> None:
        """A poll after a tag finds it, alone."""
        new, others = self.trigger.poll()
        self.found(
            f"the trigger starts the pipeline for {tag}, and for nothing else",
            (new, others) == ([tag], []),
            new + others,
        )

    def image(self, tag: str) -> str:
        """As `<+artifact.image>` has it."""
        return f"{self.images.host}/webapp:{tag}"

    def visit(self, environment: str, version: str) -> None:
        """A visitor sees this version, with this environment's values."""
        _, content = self.files.environments()[environment]
        given = {variable["name"]: variable["value"] for variable in content["variables"]}
        picture = self.teller.folder / f"{environment}-{version}-run-{self.harness.runs}.png"
        seen = open_site(self.sites[environment], picture)
        wanted = {"label": given["WEBAPP_LABEL"], "api": given["WEBAPP_API_URL"], "version": version}
        self.found(
            f"Chromium sees version {version} of {environment}, with its own values: {picture.name}",
            seen == wanted,
            seen,
        )

    def first_release(self) -> None:
        """A release is tagged, and goes all the way."""
        self.teller.chapter("Release 1.4.0 is tagged")
        self.repository.commit("1.4.0", "The first release")
        self.repository.tag("v1.4.0")
        self.released("1.4.0")
        set_by_image = {name for name in self.images.environment_of("webapp:1.4.0") if name.startswith("DEPLOY_")}
        self.found(
            "the image sets what the check believes it does, and it has no rules",
            set_by_image == SET_BY_IMAGE.keys() - {"DEPLOY_RULES"},
            set_by_image,
        )
        self.teller.chapter("1.4.0 goes through the pipeline")
        run = self.harness.start(self.image("1.4.0"), "1.4.0", approve=lambda message: "1.4.0" in message)
        self.found(
            "it passed dev, staging, the approval, production", list(run.stages.values()) == [True] * 4, run.stages
        )
        self.found("each Job ended at its first try", all(one.codes == [0] for one in run.jobs.values()), run.jobs)
        warnings = [warning for one in run.jobs.values() for warning in one.result().get("warnings", ())]
        self.found("each was looked at through its CDN, without a remark", not warnings, warnings)
        for environment in ENVIRONMENTS:
            self.visit(environment, "1.4.0")
        for one in ENVIRONMENTS:
            may = [other for other in ENVIRONMENTS if self.sites[one].may_list(self.sites[other].bucket)]
            self.found(f"{one}'s role sees {one}'s bucket alone", may == [one], may)

    def not_released(self) -> None:
        """Branches and pre-releases do not start the pipeline."""
        self.teller.chapter("A branch and a pre-release")
        self.repository.commit("1.5.0-rc.1", "Work on the next release")
        self.repository.push("feature/status")
        self.found("a branch pushes no image", self.trigger.poll() == ([], []))
        self.repository.tag("v1.5.0-rc.1")
        self.found("a pre-release is in the registry, and starts nothing", self.trigger.poll() == ([], ["1.5.0-rc.1"]))

    def broken_release(self) -> None:
        """A release with a page that the CDN does not serve fails in dev, and goes no further."""
        self.teller.chapter("Release 1.5.0 is broken: a file of it lies where the CDN serves the API")
        before = {name: site.objects() for name, site in self.sites.items()}
        self.repository.write("src/api/status.json", '{"from": "the site"}\n')
        self.repository.commit("1.5.0", "A status file")
        self.repository.tag("v1.5.0")
        self.released("1.5.0")
        run = self.harness.start(self.image("1.5.0"), "1.5.0", approve=lambda _: False)
        self.found("it failed in dev, and nothing came after", run.stages == {"dev": False}, run.stages)
        deployment, rollback = run.jobs["dev", "deploy"], run.jobs["dev", "rollback"]
        self.found(
            "the deployment's Job failed with 6, and was not tried again",
            (deployment.condition, deployment.codes) == ("Failed", [6]),
            deployment,
        )
        self.found("its log, kept by Harness, names the file", "api/status.json" in run.shown, run.shown)
        self.found(
            "the rollback's Job did nothing: 1.4.0 was live again already",
            (rollback.codes, rollback.result()["result"]) == ([0], "unchanged"),
            rollback.log,
        )
        self.found("1.4.0 is live in dev", self.sites["dev"].version() == "1.4.0", self.sites["dev"].version())
        self.visit("dev", "1.4.0")
        for name in ("staging", "production"):
            self.found(f"{name} was not touched", self.sites[name].objects() == before[name])

    def the_way_on(self) -> None:
        """The next release gets through; a person stops it before production, and takes it back in staging."""
        self.teller.chapter("Release 1.5.1 mends it, and is not approved")
        production = self.sites["production"].objects()
        self.repository.write("src/api/status.json", None)
        self.repository.commit("1.5.1", "No status file")
        self.repository.tag("v1.5.1")
        self.released("1.5.1")
        run = self.harness.start(self.image("1.5.1"), "1.5.1", approve=lambda _: False)
        self.found(
            "it passed dev and staging, and was stopped by a person",
            run.stages == {"dev": True, "staging": True, "approve_production": False},
            run.stages,
        )
        self.visit("staging", "1.5.1")
        self.found("production was not touched", self.sites["production"].objects() == production)
        ended = run.apply("staging", "rollback")
        self.found(
            "the rollback's Job takes it back where it is live", ended.result()["result"] == "rolled-back", ended.log
        )
        self.visit("staging", "1.4.0")


def tools() -> tuple[str, Path]:
    """The base image, and the program of the cloud. Raises `Missing`."""
    for name in ("docker-registry", "skopeo", "podman", "runc", "chromium", "node", "npm", "git", "umount"):
        program(name)
    if os.geteuid() != 0:
        raise Missing("podman is used as root here")
    if renderer() is None:
        raise Missing("the renderer of Harness's templates is absent: scripts/install-test-tools")
    image = os.environ.get("MTRIBES_TEST_DEPLOY_IMAGE")
    if not image:
        raise Missing("MTRIBES_TEST_DEPLOY_IMAGE names no base image (docs/image.md)")
    server = Path(os.environ.get("MTRIBES_TEST_MINISTACK", ROOT / "target/test-tools/venv/bin/ministack"))
    if not server.is_file():
        raise Missing("ministack is absent: scripts/install-test-tools")
    return image, server


def main() -> int:
    """Tells it; 0 where all of it is so, or where a tool is absent and nobody insists."""
    try:
        base, server = tools()
    except Missing as missing:
        insists = bool(os.environ.get("MTRIBES_TEST_REQUIRED"))
        print(f"{'FAILED' if insists else 'SKIPPED'}: the story: {missing}", file=sys.stderr)
        return 1 if insists else 0
    shutil.rmtree(ARTEFACTS, ignore_errors=True)
    teller = Teller(ARTEFACTS)
    with tempfile.TemporaryDirectory(prefix="story-") as temporary:
        scratch = Path(temporary)
        try:
            with registry(scratch / "registry") as images, cloud(server, scratch / "cloud") as account:
                teller.chapter("A registry, a cloud and a cluster")
                images.take(base, "deploy:1.0.0")
                story = Story(teller, scratch, account, images)
                try:
                    story.tell()
                finally:
                    story.cluster.close()
        except (Wrong, Missing, subprocess.SubprocessError) as error:
            teller.say(f"{''.join(traceback.format_tb(error.__traceback__)[-2:])}FAILED: {error}")
            return 1
    teller.chapter(f"The story is so. Pictures and logs: {ARTEFACTS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
