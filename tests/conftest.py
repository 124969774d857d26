"""What all tests share: torch on one thread, which is faster for small tensors."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def few_tuning_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hardly tune the baselines of an evaluation: most of its time goes there."""
    monkeypatch.setattr("meta.evaluation.finetuned._TUNING_TASKS", 2)
    monkeypatch.setattr("meta.evaluation.finetuned.RATES", (1e-3,))


@pytest.fixture(scope="session", autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep what is cut into convex parts apart from the user's own cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLIANT_CACHE", str(folder))
        yield folder
