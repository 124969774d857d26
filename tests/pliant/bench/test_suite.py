"""The suite: trains what is missing, leaves alone what is done, survives a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from meta.training.trained import checksum, locate
from pliant.bench import suite
from pliant.bench.jobs import Job, again, run_jobs
from pliant.bench.suite import SuiteCfg, run_suite
from pliant.views.tables import write_tables

FAMILY = "reach-rotated"
QUIET = Console(quiet=True)
TINY = SuiteCfg(
    families=(FAMILY,),
    methods=("maml", "dr", "oracle", "rma"),
    seeds=(0,),
    splits=("held-out", "unseen", "change"),
    tasks=2,
    iterations=2,
)


@pytest.mark.proof
def test_the_whole_suite_and_that_nothing_is_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = run_suite(TINY, tmp_path / "suite", QUIET)
    assert set(results) == {f"{FAMILY}-held-out", f"{FAMILY}-change"}
    for method in TINY.methods:
        lines = (tmp_path / f"suite/{FAMILY}-{method}-seed0/metrics.jsonl").read_text()
        assert len(lines.splitlines()) == 2
    document = tmp_path / "doc.md"
    document.write_text("a\n<!-- suite:table -->\nold\n<!-- suite:end -->\nz\n")
    write_tables(results, tmp_path / "suite", [document])
    text = document.read_text()
    assert text.startswith("a\n<!-- suite:table -->\n| return after 5 episodes")
    assert text.endswith("\n<!-- suite:end -->\nz\n")
    assert "old" not in text
    for name in ("random", "DR", "DR with memory, fine-tuned", "RMA", "MAML-PPO"):
        assert f"\n| {name} | " in text
    details = (tmp_path / "suite/details.md").read_text()
    assert f"### {FAMILY}, a change in mid-episode: 2 changes" in details
    # nothing is left to do
    ran: list[Job] = []
    monkeypatch.setattr(suite, "run_jobs", lambda jobs, *_: ran.extend(jobs))
    run_suite(TINY, tmp_path / "suite", QUIET)
    assert ran == []
    # but for an evaluation of what has changed since
    os.utime(tmp_path / "suite")
    content = json.loads(results[f"{FAMILY}-held-out"].read_text())
    content["policies"]["dr"][0]["checksum"] = "another"
    results[f"{FAMILY}-held-out"].write_text(json.dumps(content))
    run_suite(TINY, tmp_path / "suite", QUIET)
    assert [job.name for job in ran] == [f"evaluate {FAMILY} held-out"]


def test_what_ships_counts_as_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Job] = []
    monkeypatch.setattr(suite, "run_jobs", lambda jobs, *_: ran.extend(jobs))
    cfg = SuiteCfg(families=(FAMILY,), methods=("maml", "dr", "oracle"), tasks=2)
    run_suite(cfg, tmp_path, QUIET)
    assert all(job.command[0] == "evaluate" for job in ran)
    assert f"shipped:{FAMILY}-dr-seed2" in ran[0].command
    ran.clear()
    again = SuiteCfg(
        families=(FAMILY,), methods=("maml", "dr", "oracle"), tasks=2, retrain=True
    )
    with pytest.raises(ValueError, match="no policy at"):
        run_suite(again, tmp_path, QUIET)
    assert [job.command[0] for job in ran] == ["train"] * 9


def test_results_without_what_the_tables_show_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Job] = []
    monkeypatch.setattr(suite, "run_jobs", lambda jobs, *_: ran.extend(jobs))
    methods = ("maml", "dr", "oracle")
    cfg = SuiteCfg(
        families=("insert",),
        methods=methods,
        seeds=(0,),
        splits=("held-out",),
        tasks=2,
        as_is=True,
    )
    names = {"insert": "maml", "insert-dr": "dr", "insert-oracle": "oracle"}
    # one that was not asked for, and that shares are measured from since it ships
    names["insert-dr-memory"] = "dr-memory"
    sums = [
        {"checksum": checksum(locate(f"shipped:{name}")), "method": method}
        for name, method in names.items()
    ]
    stored = {"tasks": 2, "curve": [], "policies": {"policy": sums}}
    another = {"checksum": "of another seed", "method": "maml"}
    path = tmp_path / "insert-held-out.json"
    made: list[int] = []
    shown = {"success": "it is in the hole"}
    for more in ({}, shown, shown | {"policies": {"policy": [*sums, another]}}):
        path.write_text(json.dumps(stored | more))
        # nothing that matters about it can change in mid-episode
        assert run_suite(cfg, tmp_path, QUIET) == {"insert-held-out": path}
        made.append(len(ran))
        ran.clear()
    assert made == [1, 0, 1]


def test_as_it_is_nothing_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Job] = []
    monkeypatch.setattr(suite, "run_jobs", lambda jobs, *_: ran.extend(jobs))
    cfg = SuiteCfg(families=(FAMILY,), seeds=(0, 1, 9), tasks=2, as_is=True)
    run_suite(cfg, tmp_path, QUIET)
    assert ran
    assert all(job.command[0] == "evaluate" for job in ran)
    assert f"shipped:{FAMILY}-seed1" in ran[0].command
    # trained with other settings than it would be now
    assert f"shipped:{FAMILY}-rma" in ran[0].command
    cfg = SuiteCfg(families=(FAMILY,), seeds=(9,), tasks=2, as_is=True)
    with pytest.raises(
        ValueError, match=r"none of .* as it is: .* dr-memory or dr, maml"
    ):
        run_suite(cfg, tmp_path, QUIET)


def test_the_core_has_every_seed_and_the_rest_one_on_a_few_families(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Job] = []
    monkeypatch.setattr(suite, "run_jobs", lambda jobs, *_: ran.extend(jobs))
    cfg = SuiteCfg(families=("grasp", "push"), tasks=2, retrain=True)
    with pytest.raises(ValueError, match="no policy at"):
        run_suite(cfg, tmp_path, QUIET)
    names = {job.name for job in ran if job.command[0] == "train"}
    assert {f"push-explore-seed{i}" for i in range(3)} <= names
    assert "grasp-sysid-seed0" in names
    assert not {"grasp-sysid-seed1", "push-sysid-seed0"} & names


def test_a_killed_run_resumes(tmp_path: Path) -> None:
    command = ["train", FAMILY, "--tasks", "2", "--iterations", "20", "--hidden", "8"]
    command += ["--checkpoint-every", "1", "--threads", "1", "--out", f"{tmp_path}/run"]
    job = Job(name="run", command=command, log=tmp_path / "run.log")
    code = (
        "from pathlib import Path; from rich.console import Console;"
        "from pliant.bench.jobs import Job, run_jobs;"
        f"run_jobs([Job(name='run', command={command!r}, log=Path('{job.log}'))], 1, "
        "Console(quiet=True))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    checkpoint = tmp_path / "run/checkpoint.safetensors"
    deadline = time.monotonic() + 90
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    [child] = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    os.kill(int(child), signal.SIGKILL)
    assert process.wait(timeout=120) == 0
    starts = json.loads((tmp_path / "run/versions.json").read_text())
    assert len(starts) == 2
    assert starts[1]["iteration"] >= 1
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["iteration"] for line in lines] == list(range(1, 21))


def test_a_job_that_fails_by_itself_is_said_and_ends_the_others(tmp_path: Path) -> None:
    wrong = Job(name="wrong", command=["train", "nothing"], log=tmp_path / "wrong.log")
    options = ["--iterations", "100000", "--out", str(tmp_path / "long")]
    other = Job(
        name="long", command=["train", FAMILY, *options], log=tmp_path / "long.log"
    )
    with pytest.raises(OSError, match=r"wrong failed; .*: pliant: unknown family"):
        run_jobs([other, wrong], 2, QUIET)
    # SIGTERM: it has saved what it did
    assert "go on with" in other.log.read_text() or not (tmp_path / "long").exists()


def test_a_job_is_not_started_for_ever(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("Killed\n")
    job = Job(name="doomed", command=["evaluate"], log=tmp_path / "log")
    assert again(job, -9) is job
    assert again(job, -9) is job
    with pytest.raises(OSError, match="doomed failed"):
        again(job, -9)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"methods": ("maml", "dr")}, "no table without oracle; got maml, dr"),
        ({"methods": ("maml", "oracle")}, "no table without dr-memory or dr"),
        ({"splits": ("hold-out",)}, "splits are train, held-out, .*; got hold-out"),
        ({"seeds": ()}, "seeds >= 0"),
        ({"tasks": 0}, "tasks >= 1"),
    ],
)
def test_what_makes_no_table_is_refused(changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SuiteCfg(families=(FAMILY,), **changes)


def test_a_document_without_a_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "doc.md").write_text("nothing here\n")
    with pytest.raises(ValueError, match=r"doc.md has no place for a table"):
        write_tables({}, tmp_path, [tmp_path / "doc.md"])
