"""The price of adapting: what the episodes cost that are adapted on."""

import math
from collections.abc import Mapping

import numpy as np

from meta.evaluation.measure import Measured
from meta.evaluation.statistics import Clusters, Estimate, estimate, mean


def price(k: int, at: Measured, labels: Clusters | None) -> Mapping[str, Estimate]:
    """Estimate the two fields of a `Point` that say what adapting cost.

    Args:
        k: episodes of adaptation.
        at: the scores after them.
        labels: what each task is about.
    """
    # numbers of its own: those of the other intervals stay as they are
    rng = np.random.default_rng(k)
    undefined = Estimate(value=math.nan, low=math.nan, high=math.nan)
    during, trial = undefined, at.returns
    if at.during is not None:
        during = estimate([at.during], mean, rng, clusters=labels)
        trial = k * at.during + at.returns
    cumulative = estimate([trial], mean, rng, clusters=labels)
    return {"during": during, "cumulative": cumulative}
