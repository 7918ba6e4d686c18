"""The results as Markdown, and how `deploy` stands to what it is to reach."""

import statistics

from tools import all_tools

OURS = ("deploy", "floor", "plan")


def summary(runs):
    median = lambda what: statistics.median(one[what] for one in runs)
    return {
        **{what: median(what) for what in ("wall", "cpu", "resident")},
        "range": (min(one["wall"] for one in runs), max(one["wall"] for one in runs)),
        "requests": runs[-1].get("requests", {}),
        "in_flight": runs[-1].get("in_flight"),
    }


def table(results):
    """All cases."""
    return "\n".join(line for name, (title, rows, goals) in results.items() for line in case(name, title, rows, goals))


def case(name, title, rows, goals):
    short = {row: summary(runs) for row, runs in rows.items() if runs}
    by_time = {tool.name for tool in all_tools("") if tool.by_time}
    once_more = name.startswith("again")
    peers = {row: s for row, s in short.items() if is_peer(row) and not (once_more and row in by_time)}
    best = {what: min((p[what] for p in peers.values()), default=None) for what in ("wall", "cpu")}
    yield from (f"### {title}", "")
    if peers:
        yield "| tool | wall s (least to most) | CPU s | resident MB | our wall / its | our CPU / its | requests |"
        yield "|---|---:|---:|---:|---:|---:|---|"
    else:
        yield "| | wall s (least to most) | CPU s | resident MB | requests |"
        yield "|---|---:|---:|---:|---|"
    own = short.get("deploy")
    for row, s in short.items():
        shown = f"**{row}**" if row == "deploy" else f"{row} (by time)" if once_more and row in by_time else row
        requests = ", ".join(f"{count} {operation}" for operation, count in sorted(s["requests"].items()))
        ratios = [f"{own[what] / s[what]:.2f}" if own and row != "deploy" else "" for what in ("wall", "cpu")] if peers else []
        wall = f"{s['wall']:.3f} ({s['range'][0]:.2f} to {s['range'][1]:.2f})"
        yield "| " + " | ".join([shown, wall, f"{s['cpu']:.3f}", f"{s['resident']:.0f}", *ratios, requests]) + " |"
    yield ""
    for what, reached, goal in verdicts(goals, short, best):
        yield f"- {what}: {reached:.2f}, to be at most {goal}: **{'met' if reached <= goal else 'not met'}**"
    yield ""


def is_peer(row):
    return row.split(",")[0] not in OURS and "files" not in row


def verdicts(goals, short, best):
    own = [s for row, s in short.items() if row.split(",")[0] in ("deploy", "plan")]
    if not own:
        return
    last = own[-1]
    for what, goal in goals.items():
        if what in ("wall", "cpu") and best[what]:
            yield f"{'wall' if what == 'wall' else 'CPU'} / best peer", last[what] / best[what], goal
        elif what == "floor" and "floor" in short:
            yield "wall / floor", last["wall"] / short["floor"]["wall"], goal
        elif what == "resident":
            yield "resident MB", last["resident"], goal
        elif what == "waves":
            most, files, latency = goal
            yield f"wall / ({files:,} files / {last['in_flight']} in flight x {latency} s)", last["wall"] * last["in_flight"] / files / latency, most
        elif what == "per_file":
            most, few, many = goal
            yield f"time per file, {many:,} to {few:,}", last["wall"] / many / (own[0]["wall"] / few), most
