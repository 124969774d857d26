"""A session as text in markdown, and its place in a document."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- gpu:begin -->", "<!-- gpu:end -->"
ROWS = 8
"""Rows of a timeline."""
Row = Mapping[str, Any]


def filled(document: Path, text: str) -> str:
    """A document with a text in its place, between two lines of its own.

    Raises:
        ValueError: for a document without exactly one such place, which would be cut.
        OSError: for one that cannot be read.
    """
    lines = document.read_text().split("\n")
    marks = [line for line in lines if line in (BEGIN, END)]
    if marks != [BEGIN, END]:
        raise ValueError(
            f"{document} needs one line {BEGIN} and, after it, one line {END}; it has "
            f"{', '.join(marks) or 'neither'}"
        )
    start, end = lines.index(BEGIN), lines.index(END)
    return "\n".join([*lines[: start + 1], text, *lines[end:]])


def summary(found: Mapping[str, Any]) -> str:
    """Return a session's figures as text, without the parts that are missing."""
    steps: dict[str, Row] = {row["name"]: row for row in found["steps"]}
    parts = [
        _machine(found["machine"]),
        _parity(_figures(steps, "parity")),
        _speeds([s for row in _named(steps, "bench") for s in _speed(row)]),
        _timelines(_figures(steps, "timeline").get("timelines", {})),
        _training(list(_named(steps, "train"))),
        _target(_figures(steps, "train cheetah-direction")),
        _steps(found["steps"]),
    ]
    return "\n\n".join(part for part in parts if part)


def _figures(steps: Mapping[str, Row], name: str) -> dict[str, Any]:
    return steps.get(name, {}).get("figures") or {}


def _named(steps: Mapping[str, Row], first: str) -> Iterable[Row]:
    """The steps whose name begins with a word, and that have figures."""
    rows = [row for name, row in steps.items() if name.startswith(f"{first} ")]
    return [row for row in rows if row["figures"]]


def _speed(row: Row) -> Sequence[Row]:
    return row["figures"].get("speeds", [])


def _machine(m: Mapping[str, Any]) -> str:
    if not m:
        return "The machine could not be described."
    names = ("torch", "mujoco", "mujoco-warp", "warp-lang")
    versions = ", ".join(f"{n} {m[n]}" for n in names if m.get(n))
    driver = f", driver {m['driver']}" if m.get("driver") else ""
    revision = f", revision {m['git_revision'][:10]}" if m.get("git_revision") else ""
    return f"Measured on {m['device']}{driver}, {m['cpus']} CPUs: {versions}{revision}."


def _parity(p: Mapping[str, Any]) -> str:
    if not p:
        return ""
    said = f"Of {p['tests']} parity tests {p['passed']} passed, {p['skipped']} skipped"
    bad = f", failed: {', '.join(f'`{n}`' for n in p['failed'])}" if p["failed"] else ""
    rows: dict[str, list[str]] = {}
    for test, values in sorted(p["deviations"].items()):
        family = test.partition("[")[2].rstrip("]")
        what = "a physics step" if "step" in test else "a control period"
        cells = [
            f"{name} {value:.1e} (allowed {values[f'{name} allowed']:.0e})"
            for name, value in values.items()
            if f"{name} allowed" in values
        ]
        rows.setdefault(what, []).append(f"| {family} | {what} | {' | '.join(cells)} |")
    if not rows:
        return f"{said}{bad}."
    head = "| deviation from MuJoCo | after | typical | greatest |\n|---|---|---|---|"
    lines = [row for what in rows for row in rows[what]]
    return "\n".join([f"{said}{bad}.", "", head, *lines])


def _speeds(speeds: Sequence[Row]) -> str:
    header = {
        "physics alone": "bare",
        "of worlds alike": "bare_alike",
        "env": "env",
        "env and policy": "policy",
        "MAML-PPO": "maml",
        "env on the CPU, up to 1,024 worlds": "cpu_env",
    }
    rows = [
        (
            s["family"],
            f"{s['worlds']:,}",
            *(_number(s[field]) for field in header.values()),
            f"{s['maml'] / s['bare']:.2f}",
            _number(s["second_build_s"]),
            _number(s["kb_per_world"]),
        )
        for s in speeds
    ]
    names = (
        "env steps/s of",
        "worlds",
        *header,
        "MAML over physics",
        "build [s]",
        "kB",
    )
    return _table(names, rows)


def _timelines(timelines: Mapping[str, Row]) -> str:
    texts: list[str] = []
    for name, t in timelines.items():
        title = (
            f"One iteration, `{name}`: {t['ms']:,.0f} ms, of which the physics "
            f"{t['physics']:.0%}; copied to the host {t['copies']} times."
        )
        rows = [
            (f"`{r['what'][:60]}`", f"{r['calls']:,}", _number(r["ms"]), _share(r, t))
            for r in [*t["rows"][:ROWS], t["rows"][-1]]
        ]
        texts.append(f"{title}\n\n{_table(('kernel', 'calls', 'ms', 'share'), rows)}")
    return "\n\n".join(texts)


def _share(row: Row, timeline: Row) -> str:
    return f"{row['ms'] / timeline['ms']:.1%}"


def _training(runs: Sequence[Row]) -> str:
    rows: list[tuple[str, ...]] = []
    for run in runs:
        f = run["figures"]
        rows.append(
            (
                run["name"].removeprefix("train "),
                f"{f['worlds']:,}",
                f"{f['iterations']} of {f['of']}",
                f"{f['env_steps'] / 1e6:.1f} M",
                _number(f["seconds"]),
                _number(f["env_steps_per_s"]),
                f"{_number(f['return_pre'])} → {_number(f['return_post'])}",
                f"{f['success_post']:.2f}",
                run["status"],
            )
        )
    names = ("trained", "worlds", "iterations", "env steps", "s", "env steps/s")
    return _table((*names, "return before → after", "success after", "ended"), rows)


def _target(f: Mapping[str, Any]) -> str:
    if "target" not in f:
        return ""
    what = f"cheetah-direction, return {f['target']:g} after adapting: "
    if not f["reached"]:
        return f"{what}not reached."
    r = f["reached"]
    return (
        f"{what}reached after {r['seconds']:.0f} s of training and "
        f"{r['env_steps'] / 1e6:.1f} M env steps, at iteration {r['iteration']}."
    )


def _steps(steps: Sequence[Row]) -> str:
    rows = [
        (r["name"], r["status"], f"{r['seconds']:.0f}")
        for r in steps
        if r["status"] != "skipped"
    ]
    left = [r["name"] for r in steps if r["status"] == "skipped"]
    said = f"\n\nSkipped: {', '.join(left)}." if left else ""
    return _table(("step", "ended", "s"), rows) + said


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return ""
    rule = "|".join(["---", *["---:"] * (len(header) - 1)])
    return "\n".join([f"| {' | '.join(header)} |", f"|{rule}|", *lines])


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
