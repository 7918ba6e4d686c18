"""What is done with the tools. Each case gives, for each row of its table, a list of runs; the rows take turns."""

import json
import os
import subprocess
import sys

import trees
from tools import TOOLS, WORK

GIB = 1 << 30
PROGRAMS = None


class Store:
    """The store as a process of its own, with one bucket."""

    def __init__(self, latency=0):
        self.process = subprocess.Popen(
            [PROGRAMS / "bench-store", str(latency)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        told = json.loads(self.process.stdout.readline())
        self.environment, self.bucket = told["environment"], told["bucket"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def measured(name, command, environment):
    """Runs a command; what it took."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "DEPLOY_"))}
    figures, log = WORK / f"figures-{os.getpid()}.json", WORK / f"{name}.log"
    figures.unlink(missing_ok=True)
    with open(log, "w") as out:
        subprocess.run(
            [PROGRAMS / "bench-measure", figures, *command], env=clean | environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    took = json.loads(figures.read_text())
    figures.unlink()
    if took["exit_code"] != 0:
        raise SystemExit(f"{name}: exit code {took['exit_code']}:\n{log.read_text()[-3000:]}")
    return {"wall": took["wall_s"], "cpu": took["user_s"] + took["system_s"], "resident": took["peak_resident_bytes"] / 1e6}


def run(tool, store, tree, release=0, command=None, expect_extra=False):
    """Runs a tool once; fails unless the bucket then holds the tree, byte by byte."""
    command = (command or tool.cold)(store, tree)
    store.ask("counts")
    took = measured(tool.name, command, store.environment | tool.environment(store, tree, release))
    counts = store.ask("counts")
    found = store.ask(f"check {tree}")
    wrong = {what: found[what][:5] for what in ("missing", "different", *(() if expect_extra else ("extra",))) if found[what]}
    if wrong:
        raise SystemExit(f"{tool.name}: the bucket is not what was to be uploaded: {wrong}")
    return took | {"requests": counts["counts"], "in_flight": counts["peak_in_flight"]}


def in_turn(rows, runs, measure):
    """Measures each row so many times, in another order each time; a row is its name and what is measured."""
    results = {name: [] for name, _ in rows}
    for turn in range(runs):
        first = turn % len(rows)
        for name, what in rows[first:] + rows[:first]:
            results[name].append(measure(what, turn))
            last = results[name][-1]
            print(f"  {name:24} {last['wall']:7.3f} s wall {last['cpu']:7.3f} s CPU {last['resident']:7.1f} MB", file=sys.stderr)
    return results


def site(files):
    return trees.site(WORK / f"site-{files}", files)


def changed_site(files, changed):
    return trees.site(WORK / f"site-{files}-{changed}-changed", files, changed=changed, base=site(files))


def cold(tools, runs, tree, latency=0, as_it_comes=False):
    """Into an empty bucket."""

    def measure(tool, turn):
        with Store(latency) as store:
            return run(tool, store, tree, command=tool.as_it_comes if as_it_comes else tool.cold)

    return in_turn([(tool.name, tool) for tool in tools], runs, measure)


def again(tools, runs, tree, latency=0):
    """Where all of it is there already."""
    stores = {tool.name: Store() for tool in tools}
    try:
        for tool in tools:
            run(tool, stores[tool.name], tree)
            stores[tool.name].ask(f"latency {latency}")

        def measure(tool, turn):
            return run(tool, stores[tool.name], tree, command=tool.again)

        return in_turn([(tool.name, tool) for tool in tools], runs, measure)
    finally:
        for store in stores.values():
            store.__exit__()


def next_version(tools, runs, before, after, latency=0):
    """From one version to the next; the files that are gone stay, since deleting is what only some do. Without the
    floor, which sends a whole tree or none of it."""

    def measure(tool, turn):
        with Store() as store:
            run(tool, store, before)
            store.ask(f"latency {latency}")
            trees.touch_changed(before, after)
            return run(tool, store, after, release=1, expect_extra=True)

    return in_turn([(tool.name, tool) for tool in tools if tool.name != "floor"], runs, measure)


def growth(tools, runs, sizes, once_more):
    """`deploy` and the floor with sites of several sizes: cold, or once more."""
    rows = [(f"{tool.name}, {files:,} files", (tool, files)) for files in sizes for tool in tools if tool.name in ("deploy", "floor")]

    def measure(what, turn):
        tool, files = what
        with Store() as store:
            took = run(tool, store, site(files))
            return run(tool, store, site(files), command=tool.again) if once_more else took

    return in_turn(rows, runs, measure)


def plan(tools, runs, sizes):
    """The library's plan for so many files that are all there, by a listing that is made up as it is asked for."""
    prepared = {files: trees.flat(WORK / f"flat-{files}", files) for files in sizes}
    for files, tree in prepared.items():
        subprocess.run([PROGRAMS / "bench-plan", "record", tree, tree.with_name(tree.name + ".state")], check=True)

    def measure(files, turn):
        tree = prepared[files]
        return measured("plan", [PROGRAMS / "bench-plan", "plan", tree, tree.with_name(tree.name + ".state")], {})

    return in_turn([(f"plan, {files:,} keys", files) for files in sizes], runs, measure)


def rollback(tools, runs, variants):
    """`deploy rollback` from one version to the one before; a variant is the number of files and of changed ones."""
    deploy = next((tool for tool in tools if tool.name == "deploy"), None)
    if deploy is None:
        return {}

    def measure(variant, turn):
        files, changed = variant
        before, after = site(files), changed_site(files, changed)
        with Store() as store:
            run(deploy, store, before)
            run(deploy, store, after, release=1, expect_extra=True)
            back = lambda s, t: [PROGRAMS / "deploy", "rollback"]
            return run(deploy, store, before, release=1, command=back, expect_extra=True)

    rows = [(f"{trees.pages_with(changed)} of {files:,} files", (files, changed)) for files, changed in variants]
    return in_turn(rows, runs, measure)


def streamlit(version):
    return TOOLS / "sites" / f"streamlit-{version}"


def large(size):
    return trees.large(WORK / f"large-{size}", size)


# What it is, how it is measured, and what `deploy` is to reach: `wall`, `cpu` as ratios to the best peer, `floor` as
# that to the floor's wall, `resident` in MB, `waves` as that to files / requests in flight x latency, `per_file` as
# the time per file in the last row of `deploy` to that in its first.
CASES = {
    "cold": ("cold, 10,000 files", lambda t, n: cold(t, n, site(10_000)), dict(wall=0.5, cpu=0.45, floor=1.3)),
    "cold-20ms": (
        "cold, 10,000 files, 20 ms a request, each with its default settings",
        lambda t, n: cold(t, n, site(10_000), 20, as_it_comes=True),
        dict(wall=0.5, waves=(1.15, 10_000, 0.02)),
    ),
    "again": ("nothing changed, 10,000 files", lambda t, n: again(t, n, site(10_000)), dict(wall=0.25, cpu=0.25, resident=32, floor=2)),
    "again-20ms": ("nothing changed, 20 ms a request", lambda t, n: again(t, n, site(10_000), 20), dict(wall=0.3)),
    "changed-20ms": (
        "1 % of 10,000 files changed, 20 ms a request",
        lambda t, n: next_version(t, n, site(10_000), changed_site(10_000, 100), 20),
        dict(wall=0.35),
    ),
    "large": ("one file of 1 GiB", lambda t, n: cold(t, n, large(GIB)), dict(wall=0.8, resident=96)),
    "cold-100k": (
        "cold, 100,000 files",
        lambda t, n: growth(t, n, (10_000, 100_000), once_more=False),
        dict(resident=120, per_file=(1.2, 10_000, 100_000)),
    ),
    "again-100k": (
        "nothing changed, 100,000 files",
        lambda t, n: growth(t, n, (10_000, 100_000), once_more=True),
        dict(resident=120, per_file=(1.2, 10_000, 100_000)),
    ),
    "plan-1m": (
        "a plan for 1,000,000 keys, the listing simulated",
        lambda t, n: plan(t, n, (100_000, 1_000_000)),
        dict(resident=600, per_file=(1.3, 100_000, 1_000_000)),
    ),
    "build": (
        "a real build: Streamlit 1.45 to 1.46",
        lambda t, n: next_version(t, n, streamlit("1.45.0"), streamlit("1.46.0")),
        dict(wall=0.6),
    ),
    "rollback": (
        "rollback, by changed pages and files in all",
        lambda t, n: rollback(t, n, ((2_000, 100), (10_000, 100), (100_000, 100), (10_000, 1_000))),
        {},
    ),
}
SMOKE = {
    "cold": ("cold, 60 files", lambda t, n: cold(t, n, site(60), 5, as_it_comes=True), dict(waves=(9, 60, 0.005))),
    "again": ("nothing changed, 60 files", lambda t, n: again(t, n, site(60)), {}),
    "changed": ("some changed, 60 files", lambda t, n: next_version(t, n, site(60), changed_site(60, 3)), {}),
    "large": ("one file of 24 MiB", lambda t, n: cold(t, n, large(24 << 20)), {}),
    "growth": ("cold, 60 and 120 files", lambda t, n: growth(t, n, (60, 120), once_more=True), dict(per_file=(9, 60, 120))),
    "plan": ("a plan for 3,000 keys", lambda t, n: plan(t, n, (1_500, 3_000)), {}),
    "rollback": ("rollback", lambda t, n: rollback(t, n, ((60, 5),)), {}),
}
