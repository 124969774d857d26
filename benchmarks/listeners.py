"""Measure a policy that has learned how far to trust, beside listeners that have not.

    python -m benchmarks.listeners insert --sender shipped:insert-explore \
        --receiver shipped:insert-explore-seed1 --out insert.json

Three receivers hear the same messages: the policy as it ships; the same, trained on for
as many env steps as it takes to learn to listen, but told nothing meanwhile; and one
that was told hints in these steps. What they hear is right, nothing, noisy, another
task's, or mirrored. Each is measured from the same initial states, in its first episode
and over ten. `--again FILE ...` prints what was written; `--save FILE` keeps the policy
that listens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray
from tyro.conf import Positional

from benchmarks.speakers import Speaker, live, sent
from benchmarks.study import Kept, text_of
from benchmarks.told import other, true_latent
from meta.evaluation.calibration import fit_evidence
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.listening import ListenCfg, listen
from meta.evaluation.measure import Bench, Ledger
from meta.evaluation.statistics import estimate, mean
from meta.evaluation.telling import tell
from meta.language.belief import Belief
from meta.language.channels import Template
from meta.language.corruption import flipped
from meta.language.hints import HintCfg, draw_hints
from meta.machine.devices import simulator_threads
from meta.training.checkpoint import save_policy
from meta.training.trained import Trained, load_trained
from tasks.contract import TaskFamily
from tasks.registry import find_family
from tasks.task import Task

EPISODES = tuple(range(10))
NOISY = HintCfg(wrong=0.0, silent=0.0, missing=0.0, spread=(0.2, 0.2), sure=(0.6, 0.6))
"""Hints that are a fifth of the range off, and say so."""
SILENT = HintCfg(wrong=0.0, silent=1.0)


@dataclass(frozen=True, kw_only=True)
class Options(Kept):
    """Options of the study."""

    family: Positional[str] = ""
    """Task family."""
    sender: str = ""
    """Policy that lives three episodes with each task and tells of them."""
    receiver: str = ""
    """Policy of another training seed, which hears it."""
    iterations: int = 100
    """Iterations of learning to listen, and of the training on without hints."""
    training_seed: int = 0
    """Decides both."""
    listener: str = ""
    """One that has learned to listen already, in as many iterations."""
    trained_on: str = ""
    """One that was trained on already, in as many iterations."""
    save_trained_on: Path | None = None
    """Write the policy that was trained on without hints here."""
    doubts: tuple[float, ...] = (0.1, 0.3)
    """Shares of doubt at which each is told; 0.1 is that of messages."""
    tasks: int = 100
    """Number of tasks."""
    measure_episodes: int = 2
    """Measured episodes of each task, before any that is adapted on."""
    split: str = "held-out"
    """Split of the tasks; `train` to choose by."""
    seed: int = 31
    """Decides the tasks."""
    curves: bool = True
    """Measure ten episodes, too."""
    save: Path | None = None
    """Write the policy that listens here."""


def main() -> None:
    """Measure, and print the tables."""
    o = tyro.cli(Options)
    if not (o.again or (o.sender and o.receiver)):
        raise SystemExit("name two policies: --sender ... --receiver ...")
    for raw in o.studies(lambda: study(o)):
        print_tables(raw)


def study(o: Options) -> dict[str, Any]:
    """Measure the receivers of one family."""
    family = find_family(o.family)
    tasks = family.sample(o.split, o.seed, o.tasks)
    heard = hearings(o, family, tasks)
    first = EvaluationCfg(
        split=o.split,
        tasks=o.tasks,
        seed=o.seed,
        episodes=(0,),
        measure_episodes=o.measure_episodes,
        threads=o.threads,
    )
    returns: dict[str, list[float]] = {}
    curves: dict[str, list[list[float]]] = {}
    shipped = load_trained(o.receiver)
    with simulator_threads():
        best = true_latent(shipped, family, tasks, first)
    returns["true latent"] = best.tolist()
    for name, policy in receivers(o, shipped).items():
        evidence = fit_evidence(policy, threads=o.threads)
        for doubt in o.doubts:
            for what, beliefs in heard.items():
                told = tell(policy, evidence, beliefs, doubt=doubt)
                key = f"{name}|{doubt}|{what}"
                with simulator_threads():
                    [row] = Bench(tasks, first).curve(told, (0,), Ledger())
                returns[key] = row.returns.tolist()
                if o.curves:
                    curves[key] = _curve(told, tasks, o)
    return {
        "family": family.name,
        "split": o.split,
        "seed": o.seed,
        "iterations": o.iterations,
        "returns": returns,
        "curves": curves,
        "objects": [family.object_of(task) for task in tasks],
    }


def receivers(o: Options, shipped: Trained) -> dict[str, Trained]:
    """Return the three listeners."""
    common: dict[str, Any] = {
        "iterations": o.iterations,
        "seed": o.training_seed,
        "threads": o.threads,
    }
    on, told = (
        load_trained(spec) if spec else listen(shipped, ListenCfg(**common, hints=h))
        for spec, h in ((o.trained_on, SILENT), (o.listener, HintCfg()))
    )
    for policy, path in ((on, o.save_trained_on), (told, o.save)):
        if path:
            save_policy(policy, path)
    return {"as it ships": shipped, "trained on": on, "learned to listen": told}


def hearings(
    o: Options, family: TaskFamily, tasks: Sequence[Task]
) -> dict[str, list[Belief]]:
    """Return what is heard about each task, by what is wrong with it."""
    policy = load_trained(o.sender)
    sender = Speaker(policy, fit_evidence(policy, threads=o.threads))
    said = live(sender, family, tasks, (3,), o.seed, o.threads).beliefs[3]
    words = [Template(family.hidden).encode(b).content for b in said]
    strange = [said[other(words, i)] for i in range(len(said))]
    rng = np.random.default_rng(o.seed)
    return {
        "right": sent(said, family),
        "nothing": [Belief()] * len(said),
        "noisy": draw_hints(family.hidden, tasks, NOISY, rng),
        "another task's": sent(strange, family),
        "mirrored": sent([flipped(b, family.hidden) for b in said], family),
    }


def _curve(told: Trained, tasks: Sequence[Task], o: Options) -> list[list[float]]:
    """Return what is earned in each of ten episodes, one by one adapted to."""
    cfg = EvaluationCfg(
        split=o.split,
        tasks=o.tasks,
        seed=o.seed,
        episodes=EPISODES,
        measure_episodes=1,
        threads=o.threads,
    )
    with simulator_threads():
        rows = Bench(tasks, cfg).curve(told, EPISODES, Ledger())
    return [row.returns.tolist() for row in rows]


def print_tables(raw: dict[str, Any]) -> None:
    """Print first returns, what each message adds to them, and regret."""
    first = {k: np.array(x) for k, x in raw["returns"].items()}
    best, start = first["true latent"], first["as it ships|0.1|nothing"]
    print(
        f"\n{raw['family']}, {raw['split']} seed {raw['seed']}, {raw['iterations']} "
        f"iterations: true latent {best.mean():.2f}, untold {start.mean():.2f}\n"
    )
    print("| listener | doubt | heard | first episode | gain | regret | saved |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for key, row in first.items():
        if key == "true latent":
            continue
        name, doubt, what = key.split("|")
        nothing = f"{name}|{doubt}|nothing"
        cells = [name, doubt, what, _text(raw, row), _text(raw, row - first[nothing])]
        if raw["curves"]:
            lives = {k: np.array(raw["curves"][k]) for k in (key, nothing)}
            left = len(EPISODES) * best - lives[key].sum(0)
            saved = (lives[key] - lives[nothing]).sum(0)
            cells += [_text(raw, left), _text(raw, saved)]
        print(f"| {' | '.join(cells)} |")
    _print_over(raw, first)


def _print_over(raw: dict[str, Any], first: dict[str, NDArray[np.float64]]) -> None:
    """Print what having learned to listen adds, at equal env steps, by task."""
    print("\n| doubt | heard | learned to listen, over trained on |\n|---:|---|---:|")
    for key, row in first.items():
        name, _, heard = key.partition("|")
        if name == "learned to listen":
            doubt, what = heard.split("|")
            over = _text(raw, row - first[f"trained on|{heard}"])
            print(f"| {doubt} | {what} | {over} |")


def _text(raw: dict[str, Any], scores: NDArray[np.float64]) -> str:
    rng = np.random.default_rng(raw["seed"])
    return text_of(estimate([scores[None]], mean, rng, clusters=raw["objects"]))


if __name__ == "__main__":
    main()
