"""Cautions: facts to know before comparing the rows of an evaluation."""

from collections.abc import Sequence

from meta.evaluation.results import MIN_GAP, Evaluation, levels
from meta.training.progress import MANY_FAULTS
from pliant.views.markdown import ONE_SEED, one_seed
from pliant.views.names import clusters, name_of

_UNLIKE = 1.1
"""Ratio of env steps in training from which methods are not compared in silence."""
_MADE = ("dr-finetune", "finetune", "scratch")


def cautions(e: Evaluation) -> list[str]:
    """Return facts to know before comparing the rows."""
    missing = [name for name in levels(e.baselines) if name not in e.baselines]
    found = _missing(e, missing) if missing else _gap(e)
    steps = {n: env_steps(e, n) for n in e.policies if n not in _MADE}
    if max(steps.values()) > _UNLIKE * min(steps.values()):
        each = ", ".join(
            f"{name_of(method_of(e) if n == 'policy' else n)} {short(x)}"
            for n, x in steps.items()
        )
        found.append(f"CAUTION: trained on unlike numbers of env steps: {each}")
    for name, x in e.ledgers.items():
        episodes = x.adapt_episodes + x.measure_episodes
        if x.faults > MANY_FAULTS * episodes:
            found.append(
                f"CAUTION: of {episodes:,} episodes of "
                f"{name_of(method_of(e) if name == 'policy' else name)} a fault ended "
                f"{x.faults:,}"
            )
    if e.objects > 1:
        found.append(clusters(e.family, e.objects))
    if any(one_seed(e.policies, name) for name in e.policies):
        found.append(ONE_SEED)
    return found


def _missing(e: Evaluation, names: Sequence[str]) -> list[str]:
    trained = " and ".join(f"pliant train {e.family} --method {n}" for n in names)
    return [
        f"missing: {' and '.join(map(name_of, names))}, and so the share of the gap; "
        f"{trained}, then give --beside FOLDER"
    ]


def _gap(e: Evaluation) -> list[str]:
    found: list[str] = []
    ends = levels(e.baselines)
    random, robust, oracle = (e.baselines[n].returns.value for n in ends)
    known = f"{name_of(ends[1])} ({robust:.2f})"
    if e.foreign:
        found.append(
            "no policy was trained on these objects, nor was the oracle: it may be "
            "beaten, and a share of the gap may exceed 1"
        )
    if oracle < robust:
        found.append(
            f"the oracle ({oracle:.2f}) is below {known}: it is no ceiling here"
        )
    if e.uncertain:
        found.append(
            "no share of the gap is shown: on so few tasks the oracle may be no better "
            "than random actions"
        )
    elif not e.has_gap:
        found.append(
            f"no gap to close: from {known} to the oracle ({oracle:.2f}) is less "
            f"than {MIN_GAP:.0%} of the way from random ({random:.2f}) to the oracle"
        )
    return found


def env_steps(e: Evaluation, method: str) -> float:
    """Return the env steps that a policy of a method was trained on, on average."""
    steps = [int(t["env_steps"]) for t in e.policies[method]]
    return sum(steps) / len(steps)


def short(steps: float) -> str:
    """Return a number of env steps in three digits or so: 950, 12.5 k, 4.10 M."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if steps >= size:
            return f"{steps / size:.3g} {unit}"
    return f"{steps:.0f}"


def method_of(e: Evaluation) -> str:
    """Return the method under evaluation."""
    return str(e.policies["policy"][0]["method"])
