"""Checkpoints: a run's state in one file, from which it goes on as if uninterrupted."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from meta.theta import group, prefixed
from meta.training.build import make_training
from meta.training.config import TrainCfg
from meta.training.format import FORMAT, parse_config, read, write
from meta.training.trained import fitting
from meta.training.trainer import Training


def save_checkpoint(path: Path, trainer: Training) -> None:
    """Write a run's state.

    Raises:
        OSError: if the file cannot be written; an existing one is then untouched.
    """
    tensors = prefixed("theta", trainer.theta)
    tensors |= prefixed("adam", _adam_tensors(trainer.optimizer))
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    metadata = {
        "format": FORMAT,
        "config": json.dumps(asdict(trainer.cfg)),
        "iteration": str(trainer.iteration),
        "env_steps": str(trainer.env_steps),
    }
    write(path, tensors, metadata)


def resume_trainer(path: Path, cfg: TrainCfg | None = None) -> Training:
    """Continue a run from its checkpoint.

    Args:
        path: the checkpoint.
        cfg: replaces the checkpoint's configuration, to train for longer.

    Raises:
        ValueError: as `load_trained`, or if the checkpoint holds no optimiser.
    """
    tensors, metadata = read(path)
    trainer = make_training(cfg or parse_config(metadata["config"]))
    saved = fitting(group(tensors, "theta"), trainer.theta, str(path))
    with torch.no_grad():
        for name, value in saved.items():
            trainer.theta[name].copy_(value)
    state = group(tensors, "adam")
    if not state:
        raise ValueError(f"{path} holds a policy only and cannot be resumed")
    _restore_adam(trainer.optimizer, state)
    trainer.iteration = int(metadata["iteration"])
    trainer.env_steps = int(metadata["env_steps"])
    return trainer


def _adam_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {f"{i}.{k}": v for i, entry in state.items() for k, v in entry.items()}


def _restore_adam(
    optimizer: torch.optim.Optimizer, saved: Mapping[str, Tensor]
) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in saved.items():
        index, key = name.split(".")
        state.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
