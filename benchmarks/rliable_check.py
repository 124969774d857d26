"""Our definitions against those of rliable, which cannot be installed beside pandas 3.

    python -m venv other && other/bin/pip install rliable==1.2.0 'pandas<3' jaxtyping
    PYTHONPATH=. other/bin/python benchmarks/rliable_check.py

Prints the largest difference over 50 random score matrices; they should be of rounding.
"""

import numpy as np
from rliable import library, metrics  # pyright: ignore[reportMissingImports]

from meta.evaluation.statistics import (
    iqm,
    performance_profile,
    probability_of_improvement,
)


def main() -> None:
    """Compare."""
    rng = np.random.default_rng(0)
    at = np.linspace(-2, 2, 21)
    found = {"iqm": 0.0, "probability of improvement": 0.0, "performance profile": 0.0}
    for _ in range(50):
        shape = (rng.integers(2, 8), rng.integers(2, 40))
        # rounded: there are ties
        x, y = rng.normal(size=shape).round(1), rng.normal(0.3, 1, size=shape).round(1)
        theirs = library.create_performance_profile({"x": x}, at, reps=2)[0]["x"]
        improvement = metrics.probability_of_improvement(x, y)
        apart = {
            "iqm": metrics.aggregate_iqm(x) - iqm(x.T),
            "probability of improvement": improvement
            - probability_of_improvement(x.T, y.T),
            "performance profile": theirs - performance_profile(x, at[None]),
        }
        for name, difference in apart.items():
            found[name] = max(found[name], float(np.abs(difference).max()))
    print(found)


if __name__ == "__main__":
    main()
