"""What all tests share: torch on one thread, which is faster for small tensors."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def few_tuning_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tune the baselines of an evaluation on two tasks: most of its time goes there."""
    monkeypatch.setattr("meta.evaluation.finetuned._TUNING_TASKS", 2)
