"""Measure what words are worth to a policy, and whether its beliefs are calibrated.

    python -m benchmarks.words open --policies shipped:open-explore --out open.json

The words of a task are those that the codebook has for its hidden parameters without
scenery, and no number; wrong words are another task's. The same policy, untold, told
the words, told the wrong ones, and reading its teacher's true latent, acts on the same
held-out tasks from the same initial states. `--again FILE ...` prints what was written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tyro
from tyro.conf import Positional

from benchmarks.study import Kept, text_of
from benchmarks.told import other, told_oracle, true_latent
from meta.evaluation.calibration import fit_evidence, lived
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.measure import Bench, Ledger
from meta.evaluation.statistics import Estimate, bounded, estimate, mean
from meta.evaluation.telling import tell
from meta.language.belief import Names, Number, within
from meta.language.codebook import describe, understand
from meta.language.evidence import Evidence
from meta.machine.devices import simulator_threads
from meta.training.trained import Trained, load_trained, shipped_policies
from tasks.contract import TaskFamily
from tasks.registry import find_family

EPISODES = (0, 1, 2)
SPOKEN = (1, 3, 5)
"""Episodes after which beliefs are held against the truth."""


@dataclass(frozen=True, kw_only=True)
class Options(Kept):
    """Options of the study."""

    family: Positional[str] = ""
    """Task family."""
    policies: tuple[str, ...] = ()
    """Policies that infer a latent, one per training seed."""
    tasks: int = 100
    """Held-out tasks."""
    measure_episodes: int = 3
    """Measured episodes of each task."""
    seed: int = 22
    """Decides the tasks."""
    doubt: float = 0.3
    """Share of doubt about words; 0.3 was chosen on training tasks."""


def main() -> None:
    """Measure, and print the tables."""
    o = tyro.cli(Options)
    if not (o.again or o.policies):
        raise SystemExit("name the policies: --policies shipped:open-explore ...")
    print_tables(o.studies(lambda: study(o)))


def study(o: Options) -> dict[str, Any]:
    """Measure the policies of one family."""
    cfg = EvaluationCfg(
        tasks=o.tasks,
        seed=o.seed,
        episodes=EPISODES,
        measure_episodes=o.measure_episodes,
        threads=o.threads,
    )
    family = find_family(o.family)
    tasks = family.sample(cfg.split, cfg.seed, cfg.tasks)
    spoken = [describe(family.hidden, t.parameters, family.scenery) for t in tasks]
    said = [understand(family.hidden, text) for text in spoken]
    wrong = [said[other(spoken, i)] for i in range(len(said))]
    bench = Bench(tasks, cfg)
    returns: dict[str, list[Any]] = {}
    spoken_of: list[dict[str, Any]] = []
    fitted: list[Evidence] = []
    for spec in o.policies:
        policy = load_trained(spec)
        evidence = fit_evidence(policy, threads=o.threads)
        fitted.append(evidence)
        ways = {
            "untold": policy,
            "words": tell(policy, evidence, said, doubt=o.doubt),
            "wrong words": tell(policy, evidence, wrong, doubt=o.doubt),
        }
        with simulator_threads():
            for name, told in ways.items():
                rows = bench.curve(told, EPISODES, Ledger())
                returns.setdefault(name, []).append([r.returns.tolist() for r in rows])
            best = true_latent(policy, family, tasks, cfg)
            returns.setdefault("true latent", []).append([best.tolist()])
        spoken_of += calibration(policy, evidence, family, o)
    with simulator_threads():
        for method in ("dr-memory", "oracle"):
            for name in shipped_policies(family.name, method):
                row = bench.curve(load_trained(f"shipped:{name}"), (0,), Ledger())[0]
                returns.setdefault(method, []).append([row.returns.tolist()])
        for name, told in (("words", said), ("wrong words", wrong)):
            for shipped in shipped_policies(family.name, "oracle"):
                oracle = load_trained(f"shipped:{shipped}")
                row = told_oracle(oracle, fitted[-1], family, tasks, told, cfg)
                returns.setdefault(f"oracle, {name}", []).append([row.tolist()])
    return {
        "family": family.name,
        "policies": list(o.policies),
        "seed": o.seed,
        "doubt": o.doubt,
        "example": spoken[0],
        "objects": [family.object_of(task) for task in tasks],
        "returns": returns,
        "calibration": spoken_of,
    }


def calibration(
    policy: Trained, evidence: Evidence, family: TaskFamily, o: Options
) -> list[dict[str, Any]]:
    """Return by parameter and episodes how often 90 % hold the truth, and the skill."""
    tasks = family.sample("held-out", 1000 + o.seed, 200)
    steps, inferred = lived(policy, family, tasks, o.seed, o.threads, SPOKEN)
    rows: list[dict[str, Any]] = []
    for k in SPOKEN:
        latent = inferred[steps.index(k * family.horizon)]
        beliefs = evidence.believe(latent, k * family.horizon)
        for p in family.hidden:
            if p.name in beliefs[0].about:
                found = [b.about[p.name] for b in beliefs]
                rows.append(
                    {"parameter": p.name, "episodes": k, "source": policy.source}
                    | _held(found, [t.parameters[p.name] for t in tasks])
                )
    return rows


def _held(
    found: Sequence[Number | Names], true: Sequence[float | str]
) -> dict[str, Any]:
    held = [within(x, v) for x, v in zip(found, true, strict=True)]
    if isinstance(found[0], Names):
        right = [
            isinstance(x, Names) and x.best == v
            for x, v in zip(found, true, strict=True)
        ]
        return {"held": held, "right": float(np.mean(right))}
    means = np.array([x.mean for x in found if isinstance(x, Number)])
    actual = np.array([float(v) for v in true])
    left = np.mean((means - actual) ** 2) / np.var(actual)
    return {"held": held, "r2": float(1 - left)}


def print_tables(studies: Sequence[dict[str, Any]]) -> None:
    """Print returns and shares of the told gap, then the calibration."""
    rows = [_row(raw) for raw in studies]
    print(
        "| family | untold | words | wrong words | true latent | share of the gap | "
        "of wrong words | policies |"
    )
    print(f"|---|{'---:|' * 6}---|")
    for row in rows:
        print(f"| {' | '.join([*row[:7], row[-1]])} |")
    print(
        "\n| family | gain after 2 episodes: words | wrong words | DR with memory | "
        "oracle | oracle told words | wrong words |"
    )
    print(f"|---|{'---:|' * 6}")
    for row in rows:
        print(f"| {' | '.join([row[0], *row[7:-1]])} |")
    print("\n| family | parameter | episodes | 90 % hold | R² or right | policies |")
    print("|---|---|---:|---:|---:|---:|")
    for raw in studies:
        _print_calibration(raw)


def _row(raw: dict[str, Any]) -> list[str]:
    scores = {n: np.array(x) for n, x in raw["returns"].items()}
    rng, labels = np.random.default_rng(raw["seed"]), raw["objects"]
    first = {n: x[:, 0] for n, x in scores.items()}
    gap = first["true latent"] - first["untold"]

    def level(name: str) -> str:
        return f"{first[name].mean():.2f}" if name in first else ""

    def share(name: str) -> str:
        # to first order, so that tasks and training seeds of gain and gap stay paired
        gain, whole = first[name] - first["untold"], gap.mean()
        value = gain.mean() / whole
        e = estimate([gain - value * gap], mean, rng, clusters=labels)
        low, high = value + e.low / whole, value + e.high / whole
        return text_of(Estimate(value=value, low=low, high=high))

    def later(name: str) -> str:
        gain = scores[name][:, 2] - scores["untold"][:, 2]
        return text_of(estimate([gain], mean, rng, clusters=labels))

    return [
        raw["family"],
        *map(level, ("untold", "words", "wrong words", "true latent")),
        *map(share, ("words", "wrong words")),
        *map(later, ("words", "wrong words")),
        *map(level, ("dr-memory", "oracle", "oracle, words", "oracle, wrong words")),
        ", ".join(x.removeprefix("shipped:") for x in raw["policies"]),
    ]


def _print_calibration(raw: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    rows = raw["calibration"]
    for name in dict.fromkeys(r["parameter"] for r in rows):
        for k in SPOKEN:
            own = [r for r in rows if r["parameter"] == name and r["episodes"] == k]
            if not own:
                continue
            held = np.array([r["held"] for r in own], dtype=np.float64)
            skill = np.mean([r.get("r2", r.get("right")) for r in own])
            rate = bounded(estimate([held], mean, rng), held.shape[1])
            cells = [raw["family"], name, str(k), text_of(rate)]
            print(f"| {' | '.join([*cells, f'{skill:.2f}', str(len(own))])} |")


if __name__ == "__main__":
    main()
