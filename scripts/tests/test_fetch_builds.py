"""Tests of scripts/fetch-builds that need no network."""

import importlib.machinery
import importlib.util
import io
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "fetch-builds"


def load() -> ModuleType:
    """Imports the script, whose name has no `.py`."""
    loader = importlib.machinery.SourceFileLoader("fetch_builds", str(SCRIPT))
    spec = importlib.util.spec_from_loader("fetch_builds", loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fetch_builds"] = module
    loader.exec_module(module)
    return module


script = load()


def build(name: str, package: str = "demo", path: str = "package/dist", sha256: str = "") -> object:
    """A line of the table."""
    return script.Build(name, "npm", package, "1.0.0", path, sha256)


def tarball(folder: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    """An archive with these files and symbolic links."""
    archive = folder / "demo-1.0.0.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for path, contents in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(contents)
            tar.addfile(entry, io.BytesIO(contents))
        for path, target in (links or {}).items():
            entry = tarfile.TarInfo(path)
            entry.type = tarfile.SYMTYPE
            entry.linkname = target
            tar.addfile(entry)
    return archive


def contents(folder: Path) -> dict[str, bytes]:
    """The files below the folder by their paths."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_unpacks_only_the_site_folder(tmp_path: Path) -> None:
    files = {
        "package/dist/index.html": b"1",
        "package/dist/a/b.js": b"2",
        "package/x.js": b"3",
        "package/dist2/y": b"4",
    }
    site = tmp_path / "site"
    assert script.unpack(tarball(tmp_path, files), "package/dist", site) == 0
    assert contents(site) == {"index.html": b"1", "a/b.js": b"2"}


def test_unpacks_a_wheel_and_paths_with_a_leading_dot(tmp_path: Path) -> None:
    wheel = tmp_path / "demo-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("demo/static/index.html", "1")
        archive.writestr("demo/__init__.py", "")
    script.unpack(wheel, "demo/static", tmp_path / "wheel")
    assert contents(tmp_path / "wheel") == {"index.html": b"1"}
    script.unpack(tarball(tmp_path, {"./usr/share/index.html": b"2"}), "usr/share", tmp_path / "dotted")
    assert contents(tmp_path / "dotted") == {"index.html": b"2"}


@pytest.mark.parametrize(
    "path", ["package/dist/../../evil.js", "package/dist/a/../../../evil.js", "/package/dist/evil"]
)
def test_writes_nothing_outside_the_site_folder(tmp_path: Path, path: str) -> None:
    archive = tarball(tmp_path, {path: b"evil", "package/dist/index.html": b"1"})
    script.unpack(archive, "package/dist", tmp_path / "work" / "site")
    assert contents(tmp_path).keys() == {archive.name, "work/site/index.html"}


def test_copies_links_within_the_site_and_leaves_others_out(tmp_path: Path) -> None:
    links = {
        "package/dist/index.html": "git.html",
        "package/dist/docs/up.html": "../git.html",
        "package/dist/passwd": "/etc/passwd",
        "package/dist/jquery.js": "../../jquery.js",
        "package/dist/folder": "docs",
    }
    files = {"package/dist/git.html": b"1", "package/dist/docs/git.html": b"2"}
    site = tmp_path / "site"
    assert script.unpack(tarball(tmp_path, files, links), "package/dist", site) == 3
    assert contents(site) == {"git.html": b"1", "index.html": b"1", "docs/git.html": b"2", "docs/up.html": b"1"}


def test_a_hard_link_has_the_contents_of_its_file(tmp_path: Path) -> None:
    archive = tmp_path / "demo-1.0.0.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        file = tarfile.TarInfo("other/jquery.js")
        file.size = 1
        tar.addfile(file, io.BytesIO(b"1"))
        link = tarfile.TarInfo("package/dist/jquery.js")
        link.type = tarfile.LNKTYPE
        link.linkname = "other/jquery.js"
        tar.addfile(link)
    assert script.unpack(archive, "package/dist", tmp_path / "site") == 0
    assert contents(tmp_path / "site") == {"jquery.js": b"1"}


def test_a_link_is_never_written_through(tmp_path: Path) -> None:
    archive = tmp_path / "demo-1.0.0.tgz"
    outside = tmp_path / "outside"
    outside.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        link = tarfile.TarInfo("package/dist/sub")
        link.type = tarfile.SYMTYPE
        link.linkname = str(outside)
        tar.addfile(link)
        file = tarfile.TarInfo("package/dist/sub/evil.js")
        file.size = 4
        tar.addfile(file, io.BytesIO(b"evil"))
    script.unpack(archive, "package/dist", tmp_path / "site")
    assert contents(outside) == {}
    assert contents(tmp_path / "site") == {"sub/evil.js": b"evil"}


def serve(monkeypatch: pytest.MonkeyPatch, archive: Path) -> list[str]:
    """Makes the npm client answer with this archive; returns the names of the builds it is asked for."""
    asked: list[str] = []

    def answer(build: object, folder: Path) -> None:
        asked.append(build.name)
        (folder / archive.name).write_bytes(archive.read_bytes())

    monkeypatch.setitem(script.FETCHERS, "npm", answer)
    return asked


def test_a_build_that_is_there_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tarball(tmp_path, {"package/dist/index.html": b"1"})
    asked = serve(monkeypatch, archive)
    line = build("demo-1.0.0", sha256=script.hashlib.sha256(archive.read_bytes()).hexdigest())
    assert script.fetch_all([line], tmp_path / "builds")
    assert script.fetch_all([line], tmp_path / "builds")
    assert asked == ["demo-1.0.0"]
    assert contents(tmp_path / "builds") == {"demo-1.0.0/index.html": b"1"}


@pytest.mark.parametrize(
    ("path", "sha256", "message"),
    [
        ("package/dist", "0" * 64, "SHA-256 of demo-1.0.0.tgz is"),
        ("package/gone", None, "has no folder `package/gone`"),
    ],
)
def test_a_failed_build_is_reported_and_leaves_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    path: str,
    sha256: str | None,
    message: str,
) -> None:
    archive = tarball(tmp_path, {"package/dist/index.html": b"1"})
    serve(monkeypatch, archive)
    sha256 = sha256 or script.hashlib.sha256(archive.read_bytes()).hexdigest()
    assert not script.fetch_all([build("demo-1.0.0", path=path, sha256=sha256)], tmp_path / "builds")
    assert "cannot fetch demo-1.0.0 (npm package demo 1.0.0): " in (reported := capsys.readouterr().err)
    assert message in reported
    assert list((tmp_path / "builds").iterdir()) == []


def test_a_client_that_fails_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(script.FetchError, match="no such package"):
        script.run_client("sh", "-c", "echo no such package >&2; exit 1")
    with pytest.raises(script.FetchError, match="absent-client is not installed"):
        script.run_client("absent-client", folder=tmp_path)


def test_the_seed_chooses_and_keeps_versions_together() -> None:
    builds = [build(f"{package}-{version}", package) for package in "abcdefgh" for version in (1, 2)]
    chosen = [one.name for one in script.choose(builds, 7, 5)]
    assert chosen == [one.name for one in script.choose(builds, 7, 5)]
    assert len(chosen) == 5
    assert [name[0] for name in chosen][0::2][:2] == [name[0] for name in chosen][1::2]
    assert len({tuple(one.name for one in script.choose(builds, seed, 5)) for seed in range(20)}) > 10


def test_the_table_is_in_order() -> None:
    lines = [line for line in script.TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    columns = lines[0].split("\t")
    rows = [dict(zip(columns, line.split("\t"), strict=True)) for line in lines[1:]]
    assert all(all(row.values()) for row in rows)
    assert len({row["name"] for row in rows}) == len(rows) >= 40
    assert len({row["tool"] for row in rows}) >= 15
    for row in rows:
        assert "/" not in row["name"]
        assert row["ecosystem"] in script.FETCHERS
        assert row["state"] in ("sound", "prefix", "template", "no-root", "incomplete"), row["name"]
        assert (row["state"] != "incomplete") or (row["missing"] != "-"), row["name"]
        assert (row["state"] != "sound") or (row["missing"] == row["prefix"] == "-"), row["name"]
        if row["ecosystem"] == "debian":
            assert row["sha256"] == "-"
        else:
            assert re.fullmatch("[0-9a-f]{64}", row["sha256"]), row["name"]
    assert [one.name for one in script.read_table(script.TABLE)] == [row["name"] for row in rows]
