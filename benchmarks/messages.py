"""Measure what messages between robots are worth, by the bits that they take.

    python -m benchmarks.messages open --policies shipped:open-explore \
        shipped:open-explore-seed1 shipped:open-explore-seed2 --out open.json

A sender lives some episodes with a task and says what it believes; the policy of the
next training seed reads that before its first episode with the same task, which is
measured from the same initial states as if it had been told nothing. Bits are
allocated by what they are worth on training tasks. `--again FILE ...` prints what was
written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import tyro
from torch import Tensor
from tyro.conf import Positional

from benchmarks.messages_tables import print_tables
from benchmarks.speakers import Lived, Pair, Speaker, live, sent, through
from benchmarks.study import Kept
from benchmarks.told import earned, other, true_latent
from meta.evaluation.calibration import fit_evidence
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.measure import Bench, Ledger
from meta.evaluation.telling import tell
from meta.language.belief import Belief
from meta.language.channels import (
    FLOAT,
    Exact,
    Quantised,
    Silence,
    Template,
    allocate,
    most_bits,
    usual,
)
from meta.language.corruption import INSTRUCTIONS, beyond, flipped, overconfident
from meta.language.message import MESSAGE_DOUBT
from meta.machine.devices import simulator_threads
from meta.training.trained import Trained, load_trained
from tasks.contract import TaskFamily
from tasks.registry import find_family
from tasks.task import Task

BITS = (1, 2, 3, 4, 8, 16, 32)
REGRETTED = ("none", "8 bits", "full", "another task's")
"""Ways to be told that are measured over ten episodes."""
_FINEST = 6
"""Bits whose worth is measured at most."""


@dataclass(frozen=True, kw_only=True)
class Options(Kept):
    """Options of the study."""

    family: Positional[str] = ""
    """Task family."""
    policies: tuple[str, ...] = ()
    """Policies that infer a latent, one per training seed; each tells the next."""
    tasks: int = 100
    """Number of tasks, and of training tasks that bits are allocated by."""
    measure_episodes: int = 2
    """Measured episodes of each task."""
    lived: tuple[int, ...] = (1, 3)
    """Episodes of the sender."""
    split: str = "held-out"
    """Split of the tasks; `train` to choose by."""
    seed: int = 31
    """Decides the tasks."""
    tuning_seed: int = 11
    """Decides the training tasks."""
    doubt: float = MESSAGE_DOUBT
    """Share of doubt about messages; chosen on training tasks."""
    regret: bool = True
    """Measure ten episodes, too."""


def main() -> None:
    """Measure, and print the tables."""
    o = tyro.cli(Options)
    if not (o.again or len(o.policies) > 1):
        raise SystemExit(
            "name two policies or more: --policies shipped:open-explore ..."
        )
    print_tables(o.studies(lambda: study(o)))


def study(o: Options) -> dict[str, Any]:
    """Measure the pairs of one family."""
    family = find_family(o.family)
    policies = [load_trained(spec) for spec in o.policies]
    speakers = [Speaker(p, fit_evidence(p, threads=o.threads)) for p in policies]
    pairs = list(zip(speakers, speakers[1:] + speakers[:1], strict=True))
    training = family.sample("train", o.tuning_seed, o.tasks)
    lived = [
        live(s, family, training, o.lived, o.tuning_seed, o.threads) for s, _ in pairs
    ]
    worth = worths(pairs, lived, family, o)
    tasks = family.sample(o.split, o.seed, o.tasks)
    kinds = ("returns", "curves", "bits", "choice", "allocated")
    found: dict[str, Any] = {kind: {} for kind in kinds}
    for pair, known in zip(pairs, lived, strict=True):
        sure = {k: usual(said, family.hidden) for k, said in known.beliefs.items()}
        told = live(pair[0], family, tasks, o.lived, o.seed, o.threads)
        measure(pair, told, sure, worth, family, o, found)
    return found | {
        "family": family.name,
        "policies": list(o.policies),
        "split": o.split,
        "seed": o.seed,
        "lived": list(o.lived),
        "doubt": o.doubt,
        "worth": worth,
        "objects": [family.object_of(task) for task in tasks],
    }


def worths(
    pairs: Sequence[Pair], lived: Sequence[Lived], family: TaskFamily, o: Options
) -> dict[str, list[float]]:
    """Return what 0, 1, 2 ... bits about each parameter alone add on training tasks."""
    bench = Bench(lived[0].tasks, _cfg(o, o.tuning_seed, (0,), 1))
    gains: dict[str, list[float]] = {}
    for (_, receiver), known in zip(pairs, lived, strict=True):
        said = known.beliefs[o.lived[-1]]
        untold, sure = _first(bench, receiver.policy), usual(said, family.hidden)
        for p in (p for p in family.hidden if p.name in sure):
            own = gains.setdefault(p.name, [0.0] * (most_bits(p) + 1))
            last = 0.0
            for bits in range(1, len(own)):
                if bits <= _FINEST:
                    channel = Quantised(family.hidden, {p.name: bits}, sure)
                    told = _told(receiver, through(channel, said)[0], o)
                    last = float((_first(bench, told) - untold).mean())
                own[bits] += last / len(pairs)
    return gains


def measure(
    pair: Pair,
    lived: Lived,
    sure: Mapping[int, Mapping[str, float]],
    worth: Mapping[str, Sequence[float]],
    family: TaskFamily,
    o: Options,
    found: dict[str, Any],
) -> None:
    """Add one pair's returns, and the bits of its messages, to what was found."""
    receiver, tasks = pair[1], lived.tasks
    cfg = _cfg(o, o.seed, (0,), o.measure_episodes)
    bench, returns = Bench(tasks, cfg), found["returns"]

    def add(name: str, row: Tensor) -> None:
        returns.setdefault(name, []).append(row.tolist())

    known: list[tuple[list[Belief], Tensor]] = []
    add("untold", _first(bench, receiver.policy))
    with simulator_threads():
        add("true latent", true_latent(receiver.policy, family, tasks, cfg))
    for k, said in lived.beliefs.items():
        e = lived.episodes[k]
        told = receiver.policy.begin(len(tasks)).after(e)
        with simulator_threads():
            add(f"{k}: episode", earned(family, tasks, cfg, told.act, oracle=False))
        entropy = Template(family.hidden).entropy(said[0])
        found["choice"].setdefault(str(k), []).append(entropy)
        width = family.obs_dim + family.action_dim + 1
        steps = k * (family.horizon * width + family.obs_dim)
        found["bits"].setdefault(f"{k}: episode", []).append(FLOAT * steps)
        # equally allocated bits are there to choose by, on training tasks
        all_ways = ways(said, sure[k], worth, family, equal=o.split == "train")
        for name, (beliefs, bits) in all_ways.items():
            found["bits"].setdefault(f"{k}: {name}", []).append(bits)
            same = next((row for b, row in known if b == beliefs), None)
            if same is None:
                same = _first(bench, _told(receiver, beliefs, o))
                known.append((beliefs, same))
            add(f"{k}: {name}", same)
            if o.regret and k == o.lived[-1] and name in REGRETTED:
                lives = found["curves"].setdefault(name, [])
                lives.append(curve(receiver, beliefs, tasks, o))
    for budget in BITS:
        found["allocated"][str(budget)] = allocate(budget, worth)


def ways(
    said: Sequence[Belief],
    sure: Mapping[str, float],
    worth: Mapping[str, Sequence[float]],
    family: TaskFamily,
    *,
    equal: bool = True,
) -> dict[str, tuple[list[Belief], float]]:
    """Return what a receiver believes of each task, and the bits, by channel."""
    hidden = family.hidden
    template = Template(hidden)
    words = [template.encode(b).content for b in said]
    strange = [said[other(words, i)] for i in range(len(said))]
    silence = through(Silence(), said)
    found = {
        "none": silence,
        "full": through(Exact(hidden), said),
        "words": through(template, said),
        "another task's": (sent(strange, family), nan),
        "signs flipped": (sent([flipped(b, hidden) for b in said], family), nan),
        "overconfident": (sent([overconfident(b) for b in said], family), nan),
        "out of range": (sent([beyond(b, hidden) for b in said], family), nan),
        "instructions": (sent(said, family, text=INSTRUCTIONS), nan),
    }
    spoken = {name: table for name, table in worth.items() if name in sure}
    tables = {"bits": spoken}
    if equal:
        tables["equal bits"] = {name: [0.0] * len(t) for name, t in spoken.items()}
    for name, table in tables.items() if spoken else ():
        for budget in BITS:
            channel = Quantised(hidden, allocate(budget, table), sure)
            found[f"{budget} {name}"] = through(channel, said)
    return found


def curve(
    receiver: Speaker, beliefs: Sequence[Belief], tasks: Sequence[Task], o: Options
) -> list[list[float]]:
    """Return what is earned in each of ten episodes, one by one adapted to."""
    ks = tuple(range(10))
    bench = Bench(tasks, _cfg(o, o.seed, ks, 1))
    with simulator_threads():
        rows = bench.curve(_told(receiver, beliefs, o), ks, Ledger())
    return [row.returns.tolist() for row in rows]


def _first(bench: Bench, policy: Trained) -> Tensor:
    with simulator_threads():
        return bench.curve(policy, (0,), Ledger())[0].returns


def _told(receiver: Speaker, beliefs: Sequence[Belief], o: Options) -> Trained:
    return tell(receiver.policy, receiver.evidence, beliefs, doubt=o.doubt)


def _cfg(o: Options, seed: int, ks: tuple[int, ...], each: int) -> EvaluationCfg:
    return EvaluationCfg(
        split=o.split,
        tasks=o.tasks,
        seed=seed,
        episodes=ks,
        measure_episodes=each,
        threads=o.threads,
    )


if __name__ == "__main__":
    main()
