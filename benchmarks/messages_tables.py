"""Tables of studies of messages, as Markdown."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.study import text_of
from meta.evaluation.statistics import Estimate, bounded, estimate, harm, mean

CORRUPT = (
    *("another task's", "signs flipped", "overconfident", "out of range"),
    "instructions",
)

Study = dict[str, Any]


def print_tables(studies: Sequence[Study]) -> None:
    """Print shares of the told gap by channel, what corruption costs, and regret."""
    for raw in studies:
        first = {n: np.array(x) for n, x in raw["returns"].items()}
        levels = ", ".join(
            f"{n} {first[n].mean():.3f}" for n in ("untold", "true latent")
        )
        print(f"\n{raw['family']}: {levels}; doubt {raw['doubt']}, {raw['split']}")
        print(f"\nworth of 0, 1, ... bits: {_rounded(raw['worth'])}")
        print(f"\nallocated: {raw['allocated']}")
        _print_channels(raw, first)
        _print_corruptions(raw, first)
        if raw["curves"]:
            _print_regret(raw, first["true latent"])


def _print_channels(raw: Study, first: dict[str, NDArray[np.float64]]) -> None:
    lived = raw["lived"]
    heads = " | ".join(f"bits, {k} | share of the gap, {k}" for k in lived)
    print(f"\n| channel, episodes of the sender | {heads} |")
    print(f"|---|{'---:|---:|' * len(lived)}")
    names = [n.partition(": ")[2] for n in first if n.startswith(f"{lived[-1]}: ")]
    for name in (n for n in names if n not in CORRUPT):
        cells: list[str] = []
        for k in lived:
            way = f"{k}: {name}"
            bits = np.mean(raw["bits"].get(way, 0.0))
            share = text_of(_share(raw, first, first[way])) if way in first else ""
            cells += [f"{bits:.1f}" if way in first else "", share]
        print(f"| {name} | {' | '.join(cells)} |")
    entropy = [f"{np.mean(raw['choice'][str(k)]):.1f}" for k in lived]
    print(f"\nbits of the words' choice: {', '.join(entropy)}")


def _print_corruptions(raw: Study, first: dict[str, NDArray[np.float64]]) -> None:
    print(
        "\n| corruption | sender's episodes | loss | share of the gap | worse off |"
        "\n|---|---:|---:|---:|---:|"
    )
    for name in CORRUPT:
        for k in raw["lived"]:
            told, untold = first[f"{k}: {name}"], first["untold"]
            loss = level(raw, untold - told)
            worse = level(raw, harm(told, untold - 0.01))
            cells = [
                text_of(loss),
                text_of(_share(raw, first, told)),
                text_of(bounded(worse, told.shape[1])),
            ]
            print(f"| {name} | {k} | {' | '.join(cells)} |")


def _print_regret(raw: Study, best: NDArray[np.float64]) -> None:
    print(
        "\n| told | regret over ten episodes | less than with none |\n|---|---:|---:|"
    )
    curves = {n: np.array(x).sum(axis=1) for n, x in raw["curves"].items()}
    for name, earned in curves.items():
        count = np.array(raw["curves"][name]).shape[1]
        regret = text_of(level(raw, count * best - earned))
        saved = text_of(level(raw, earned - curves["none"]))
        print(f"| {name} | {regret} | {saved} |")


def _share(
    raw: Study, first: dict[str, NDArray[np.float64]], told: NDArray[np.float64]
) -> Estimate:
    """Return gain over gap, to first order, so that tasks and seeds stay paired."""
    gap, gain = first["true latent"] - first["untold"], told - first["untold"]
    whole = gap.mean()
    value = gain.mean() / whole
    e = level(raw, gain - value * gap)
    return Estimate(value=value, low=value + e.low / whole, high=value + e.high / whole)


def level(raw: Study, scores: NDArray[np.float64]) -> Estimate:
    """Return the mean of scores, (seed, task), with its interval over objects."""
    rng = np.random.default_rng(raw["seed"])
    return estimate([scores], mean, rng, clusters=raw["objects"])


def _rounded(worth: dict[str, list[float]]) -> dict[str, list[float]]:
    return {name: [round(x, 3) for x in table] for name, table in worth.items()}
