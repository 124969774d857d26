"""The tables of `benchmarks.transfer`, from its raw numbers."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.evaluation import transfer as t
from meta.evaluation.statistics import estimate, mean

Array = NDArray[np.float64]
_CHOICES = ("random", "most recent", "best single, in hindsight")
_QUERIES = ("1", "3")


class Study:
    """One library and its queries, as arrays; axes are task, entry, episode."""

    def __init__(self, raw: Any) -> None:  # noqa: ANN401  (JSON)
        self.returns = np.array(raw["transfer"])
        self.transfer = self.returns.mean(-1)
        self.n = len(self.transfer)
        self.same = np.eye(self.n, dtype=bool)
        self.distance: dict[str, Array] = {
            f"embedding, {k} episode{'s' * (k != '1')}": np.array(v)
            for k, v in raw["distance"].items()
        }
        self.distance |= {k: np.array(v) for k, v in raw["true"].items()}
        self.ways = {k: np.array(v).mean(-1) for k, v in raw["returns"].items()}
        self.threshold: dict[str, float] = raw["threshold"]
        self.novel = raw["novel"]
        self.objects: list[str] = raw["objects"]
        self.outside: dict[str, list[str]] = raw["outside"]

    def order(self, how: str) -> NDArray[np.int64]:
        """Entries of each task, the nearest first, without its own."""
        away = np.where(self.same, np.inf, self.distance[how])
        return away.argsort(axis=1, kind="stable")[:, :-1]

    def good(self, *, noise: bool) -> NDArray[np.bool_]:
        """Entries of each task that earn most, or that within noise do."""
        rows: list[NDArray[np.bool_]] = []
        for j in range(self.n):
            others = np.flatnonzero(~self.same[j])
            row = np.zeros(self.n, dtype=bool)
            if noise:
                row[others] = t.ties_with_best(self.returns[others, j])
            else:
                row[others[self.transfer[others, j].argmax()]] = True
            rows.append(row)
        return np.stack(rows)

    def earned(self, how: str) -> Array:
        """Return on each task of the entry that a rule chooses, (task,)."""
        others = np.where(self.same, np.nan, self.transfer)
        each = np.arange(self.n)
        match how:
            case "random":
                return np.nanmean(others, axis=0)
            case "most recent":
                return self.transfer[each - 1, each]
            case "best, in hindsight":
                return np.nanmax(others, axis=0)
            case "best single, in hindsight":
                rest = [np.nanmean(np.delete(others, j, 1), axis=1) for j in each]
                best = [np.where(each == j, -9e9, rest[j]).argmax() for j in each]
                return self.transfer[best, each]
            case _:
                return self.transfer[self.order(how)[:, 0], each]


def print_tables(raw: Any) -> None:  # noqa: ANN401  (JSON)
    """Print all tables of one policy, in Markdown."""
    studies = [Study(s) for s in raw["studies"]]
    print(f"\n### {raw['policy']}: {len(studies)} libraries of {studies[0].n} tasks\n")
    _foretelling(studies)
    _choices(studies)
    _worth(studies)
    _abstention(studies)
    print("\n| entries | query [ms] | megabytes |\n|---:|---:|---:|")
    for row in raw.get("cost", []):
        print(f"| {row['entries']:,} | {row['ms']:.2f} | {row['bytes'] / 1e6:,.2f} |")


def _foretelling(studies: list[Study]) -> None:
    """Print how well distances rank transfer."""
    print("| distance | Spearman with transfer | by library |\n|---|---:|---|")
    for how in studies[0].distance:
        rng = np.random.default_rng(0)
        each = [
            float(t.foretold(s.distance[how], s.transfer, s.same).mean())
            for s in studies
        ]
        draws = [
            t.foretold_draws(s.distance[how], s.transfer, s.objects, rng)
            for s in studies
        ]
        low, high = np.nanquantile(np.mean(draws, axis=0), [0.025, 0.975])
        shown = ", ".join(f"{x:.2f}" for x in each)
        print(f"| {how} | {np.mean(each):.2f} [{low:.2f}, {high:.2f}] | {shown} |")
    half = np.mean([_reliability(s) for s in studies])
    print(f"\nA repeated measurement of transfer would agree to {half:.2f}.\n")


def _reliability(s: Study) -> float:
    """Rank correlation of two measurements of as many episodes: Spearman-Brown's."""
    cut = s.returns.shape[-1] // 2
    first, second = s.returns[..., :cut].mean(-1), s.returns[..., cut:].mean(-1)
    half = float(t.foretold(-first.T, second, s.same).mean())
    return 2 * half / (1 + half)


def _choices(studies: list[Study]) -> None:
    """Print what is chosen, and what that costs against the best entry."""
    print(
        "| entry chosen | return | regret | recall@1 | recall@3 "
        "| within noise @1 | @3 |\n|---|---:|---:|---:|---:|---:|---:|"
    )
    best = _pooled(studies, lambda s: s.earned("best, in hindsight"))
    for how in (*studies[0].distance, *_CHOICES, "best, in hindsight"):
        got = _pooled(studies, lambda s, how=how: s.earned(how))
        cells = [_shown(got, studies), _shown(best - got, studies)]
        if how in studies[0].distance or how == "random":
            for noise in (False, True):
                for k in (1, 3):
                    hit = [_recall(s, how, k, noise=noise) for s in studies]
                    cells.append(f"{np.mean(np.concatenate(hit)):.2f}")
        print(f"| {how} | {' | '.join(cells + [''] * (6 - len(cells)))} |")
    ties = np.mean([s.good(noise=True).sum(1).mean() for s in studies])
    print(f"\nWithin noise of the best: {ties:.1f} of {studies[0].n - 1} entries.\n")


def _recall(s: Study, how: str, k: int, *, noise: bool) -> Array:
    good = s.good(noise=noise)
    if how != "random":
        return t.recall_at(s.order(how), good, k).astype(float)
    n, count = s.n - 1, good.sum(1)
    return np.array([1 - math.comb(n - int(c), k) / math.comb(n, k) for c in count])


def _worth(studies: list[Study]) -> None:
    """Print what acting by the retrieved adaptation earns."""
    near = "embedding, 1 episode"
    ways: dict[str, Callable[[Study], Array]] = {
        "unadapted": lambda s: s.ways["unadapted"],
        "own adaptation, 1 episode": lambda s: s.ways["own 1"],
        "own adaptation, 3 episodes": lambda s: s.ways["own 3"],
        "retrieved after 1 episode": lambda s: s.earned(near),
        "... unless nothing is near, then its own": _guarded,
        "an entry at random": lambda s: s.earned("random"),
    }
    for way in studies[0].ways:
        kind, _, size = way.partition(" of ")
        if kind == "joined":
            ways[f"own episode and retrieved ones, {size} entries"] = _way(way)
        elif size and int(size) > studies[0].n:
            ways[f"retrieved after 1 episode, {size} entries"] = _way(way)
    plain, own = (_pooled(studies, ways[k]) for k in list(ways)[:2])
    print(
        "| acting by | return | over unadapted | over own | worse than unadapted "
        "|\n|---|---:|---:|---:|---:|"
    )
    for name, way in ways.items():
        got = _pooled(studies, way)
        harm = _shown((got < plain).astype(float), studies)
        if name == "an entry at random":
            harm = f"{np.mean([_random_harm(s) for s in studies]):.2f}"
        print(
            f"| {name} | {_shown(got, studies)} | {_shown(got - plain, studies)} | "
            f"{_shown(got - own, studies)} | {harm} |"
        )
    used = np.mean([(_nearest(s) <= s.threshold["1"]).mean() for s in studies])
    print(f"\nSomething is near in {100 * used:.0f} % of the tasks.\n")


def _way(name: str) -> Callable[[Study], Array]:
    return lambda s: s.ways[name]


def _random_harm(s: Study) -> float:
    worse = s.transfer < s.ways["unadapted"][None]
    return float(worse[~s.same].mean())


def _nearest(s: Study) -> Array:
    return np.where(s.same, np.inf, s.distance["embedding, 1 episode"]).min(1)


def _guarded(s: Study) -> Array:
    known = _nearest(s) <= s.threshold["1"]
    return np.where(known, s.earned("embedding, 1 episode"), s.ways["own 1"])


def _abstention(studies: list[Study]) -> None:
    """Print how well the distance to the nearest tells novel tasks."""
    print(
        "| by the distance | entries | AUROC, extrapolation | AUROC, far "
        "| called novel: held-out | extrapolation | far |"
        "\n|---|---:|---:|---:|---:|---:|---:|"
    )
    for setting in studies[0].novel:
        k, size = setting.rsplit(" ", 1)
        cells: list[str] = []
        for split in ("extrapolation", "far"):
            rng = np.random.default_rng(0)
            each = [_auroc(s, setting, split, rng) for s in studies]
            value, draws = (np.mean(x, axis=0) for x in zip(*each, strict=True))
            low, high = np.quantile(draws, [0.025, 0.975]).clip(0, 1)
            cells.append(f"{value:.2f} [{low:.2f}, {high:.2f}]")
        for split in ("held-out", "extrapolation", "far"):
            if k in _QUERIES:
                far = [
                    np.array(s.novel[setting][split]) > s.threshold[k] for s in studies
                ]
                cells.append(f"{np.mean(far):.2f}")
            else:
                cells.append("")
        name = f"{k} episode{'s' * (k != '1')}" if k in _QUERIES else k
        print(f"| {name} | {size} | {' | '.join(cells)} |")


def _auroc(
    s: Study, setting: str, split: str, rng: np.random.Generator
) -> tuple[float, Array]:
    """Area under the curve, and draws of it."""
    a, b = (np.array(s.novel[setting][name]) for name in ("held-out", split))
    labels = (s.outside["held-out"], s.outside[split])
    return t.auroc(a, b), t.auroc_draws(a, b, labels, rng)


def _pooled(studies: list[Study], way: Callable[[Study], Array]) -> Array:
    return np.concatenate([way(s) for s in studies])


def _shown(x: Array, studies: list[Study]) -> str:
    """Return a mean with its interval over tasks, or over objects with their tasks."""
    labels = [name for s in studies for name in s.objects]
    e = estimate([x[None]], mean, np.random.default_rng(0), clusters=labels)
    return f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}]"
