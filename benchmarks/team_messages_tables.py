"""Tables of studies of messages inside teams, as Markdown."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.messages_tables import CORRUPT
from benchmarks.study import text_of
from meta.evaluation.statistics import Estimate, bounded, estimate, harm, mean

Study = dict[str, Any]
_PARTS = ("its own end", "the other end", "the weight")
_BESIDE = ("meanwhile", "own episodes", *_PARTS, "the truth", "true latent")


def print_tables(raw: Study) -> None:
    """Print what is known, what newcomers earn by what is said, and what hearing adds.

    A team counts as the mean over which of its agents is swapped.
    """
    scores = {n: np.array(x).mean(0, keepdims=True) for n, x in raw["returns"].items()}
    print(
        f"\n{raw['family']}, {raw['split']}, {raw['teams']} teams, seed {raw['seed']}"
    )
    print(f"nobody has adapted: {_level(raw, scores['nobody'])}; doubt {raw['doubt']}")
    print(f"worth of 0, 1, ... bits: {_rounded(raw['worth'])}")
    first = ", ".join(raw["parameters"])
    for i, (none, one) in enumerate(raw["skill"]):
        said = "; ".join(", ".join(f"{x:.2f}" for x in row) for row in (none, one))
        print(f"agent {i}, explained of {first} after 0 and 1 steps: {said}")
    _print_known(raw)
    _print_newcomers(raw, scores)
    _print_corruptions(raw, scores)
    _print_exchange(raw, scores)


def _print_known(raw: Study) -> None:
    print("\n| an agent knows, after episodes of the team | R² | 90 % hold |")
    print("|---|---:|---:|")
    for k in raw["lived"]:
        for part in _PARTS:
            rows = np.array(_by_k(raw["known"], k).get(part, []))
            if not len(rows):
                continue
            said, actual, held = rows.T
            left = np.mean((said - actual) ** 2) / np.var(actual)
            # both agents of a team are drawn together
            rate = estimate(
                [held[None]],
                mean,
                np.random.default_rng(raw["seed"]),
                clusters=[i // 2 for i in range(len(held))],
            )
            rate = text_of(bounded(rate, len(held)))
            print(f"| {part}, {k} | {1 - left:.2f} | {rate} |")


def _print_newcomers(raw: Study, scores: dict[str, NDArray[np.float64]]) -> None:
    print("\n| told, episodes of the team | bits | return | share of the gap |")
    print("|---|---:|---:|---:|")
    for k in raw["lived"]:
        names = [n.removeprefix(f"{k}: ") for n in scores if n.startswith(f"{k}: ")]
        channels = [n for n in names if f"{k}: {n}" in raw["bits"] and n not in CORRUPT]
        for name in (*channels, *_BESIDE, "nobody swapped"):
            bits = np.mean(raw["bits"].get(f"{k}: {name}", np.nan))
            own = scores[f"{k}: {name}"]
            cells = [f"{name}, {k}", "" if np.isnan(bits) else f"{bits:.0f}"]
            cells += [_level(raw, own), text_of(_share(raw, scores, own, k))]
            print(f"| {' | '.join(cells)} |")


def _print_corruptions(raw: Study, scores: dict[str, NDArray[np.float64]]) -> None:
    print("\n| told a newcomer, episodes | loss | worse off by 0.01 |")
    print("|---|---:|---:|")
    for k in raw["lived"]:
        for name in CORRUPT:
            told, untold = scores[f"{k}: {name}"], scores[f"{k}: none"]
            print(f"| {name}, {k} | {_loss(raw, told, untold)} |")


def _print_exchange(raw: Study, scores: dict[str, NDArray[np.float64]]) -> None:
    print("\n| all adapted, and hear, episodes | return | loss | worse off by 0.01 |")
    print("|---|---:|---:|---:|")
    for k in raw["lived"]:
        untold = scores[f"{k}: both hear none"]
        for name in (n for n in scores if n.startswith(f"{k}: both hear ")):
            said = name.removeprefix(f"{k}: both hear ")
            loss = _loss(raw, scores[name], untold)
            print(f"| {said}, {k} | {_level(raw, scores[name])} | {loss} |")


def _share(
    raw: Study,
    scores: dict[str, NDArray[np.float64]],
    own: NDArray[np.float64],
    k: int,
) -> Estimate:
    """Return gain over gap, to first order, so that teams stay paired."""
    none = scores[f"{k}: none"]
    gap, gain = scores[f"{k}: true latent"] - none, own - none
    whole = gap.mean()
    value = gain.mean() / whole
    e = _estimate(raw, gain - value * gap)
    return Estimate(value=value, low=value + e.low / whole, high=value + e.high / whole)


def _loss(raw: Study, told: NDArray[np.float64], untold: NDArray[np.float64]) -> str:
    worse = _estimate(raw, harm(told, untold - 0.01))
    rate = text_of(bounded(worse, told.shape[1]))
    return f"{text_of(_estimate(raw, untold - told))} | {rate}"


def _level(raw: Study, scores: NDArray[np.float64]) -> str:
    return text_of(_estimate(raw, scores))


def _estimate(raw: Study, scores: NDArray[np.float64]) -> Estimate:
    return estimate([scores], mean, np.random.default_rng(raw["seed"]))


def _by_k(table: dict[Any, Any], k: int) -> dict[str, Any]:
    """Return an entry, whose key is a text once it was written."""
    return table[k] if k in table else table[str(k)]


def _rounded(worth: dict[str, list[float]]) -> dict[str, list[float]]:
    return {name: [round(x, 3) for x in table] for name, table in worth.items()}
