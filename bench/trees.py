"""Deterministic trees of files like those of a web build."""

import base64
import filecmp
import functools
import hashlib
import os
import shutil
from pathlib import Path

# Raise it when a tree changes: kept trees are made again then.
FORMAT = 3
PAGES = 100
PER_PAGE = 10


def _text(seed, length):
    """Text of about `length` characters that does not compress to nothing."""
    block = hashlib.shake_128(str(seed).encode()).hexdigest(1024)
    lines = [f"export const c{i} = '{block[i * 7 % 1024:]}{i}';" for i in range(length // 1100 + 1)]
    return "\n".join(lines)[:length]


def _asset(number, version):
    # Sizes from 1 to 11 KB, 6 KB on the average.
    length = 1000 + int.from_bytes(hashlib.sha256(b"%d" % number).digest()[:4], "big") % 10_000
    extension = ("js", "css", "svg", "js")[number % 4]
    content = f"/* asset {number}, version {version} */\n{_text((number, version), length)}\n".encode()
    # As Vite names its files.
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())[:8].decode()
    return f"assets/{number // 1000:03}/chunk{number}-{digest}.{extension}", content


def pages_with(changed):
    """How many pages differ where the first `changed` assets do: those that refer to them, and the root page."""
    return f"{min(-(-changed // PER_PAGE), PAGES) + 1} pages"


def _page(names):
    links = "\n".join(f'<link rel="modulepreload" href="/{name}">' for name in names if name.endswith(".js"))
    return f"<!doctype html><html><head><title>Page</title>\n{links}\n</head><body><p>Text</p></body></html>\n".encode()


def _kept(make):
    """A tree that is there is not made again: a file beside it says by what it was made, and that it is whole."""

    @functools.wraps(make)
    def tree(root, *sizes, **more):
        root = Path(root)
        mark = root.with_name(root.name + ".made")
        wanted = " ".join(str(size) for size in (FORMAT, *sizes, *(v for v in more.values() if isinstance(v, int))))
        if not mark.exists() or mark.read_text() != wanted:
            shutil.rmtree(root, ignore_errors=True)
            make(root, *sizes, **more)
            mark.write_text(wanted)
        return root

    return tree


@_kept
def site(root, files, changed=0, base=None):
    """A site of `files` files, of which the first `changed` are another version than in `base`;
    what is the same is one file on disk under two names."""
    pages = PAGES if files > 10 * PAGES else 2
    assets = [_asset(n, 1 if n < changed else 0) for n in range(files - pages - 2)]
    content = dict(assets)
    names = [name for name, _ in assets]
    for page in range(pages):
        content[f"pages/{page}/index.html"] = _page(names[page * PER_PAGE : (page + 1) * PER_PAGE])
    content["index.html"] = _page(names[:20])
    content["robots.txt"] = b"User-agent: *\nAllow: /\n"
    for name, data in content.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        twin = base and Path(base) / name
        if twin and twin.exists() and twin.read_bytes() == data:
            os.link(twin, path)
        else:
            path.write_bytes(data)


def touch_changed(before, after):
    """Gives what differs a date of now: tools that go by time would not see it."""
    for path in Path(after).rglob("*"):
        twin = Path(before) / path.relative_to(after)
        if path.is_file() and not (twin.is_file() and (path.samefile(twin) or filecmp.cmp(path, twin, shallow=False))):
            os.utime(path)


@_kept
def flat(root, files):
    """Many files of the same size, whose names follow from their numbers, as `bench-plan` knows them. Few of them
    take space: most are further names of another one."""
    first = []
    for number in range(files - 1):
        folder = root / f"assets/{number // 1000:04}"
        if number % 1000 == 0:
            folder.mkdir(parents=True)
        path = folder / f"c{number:07}-{number * 2654435761 & 0xFFFFFFFF:08x}.js"
        if number < 100:
            path.write_text(f"export const asset = '{_text(number, 100)[:80]:80}';\n")
            first.append(path)
        else:
            os.link(first[number % 100], path)
    (root / "index.html").write_bytes(_page([]))


@_kept
def large(root, size):
    """A page and one file of `size` bytes that does not compress."""
    (root / "media").mkdir(parents=True)
    (root / "index.html").write_bytes(_page([]))
    block = 1 << 20
    with open(root / "media/film-9f86d081.mp4", "wb") as out:
        for number in range(size // block):
            out.write(hashlib.shake_128(b"%d" % number).digest(block))
