"""Checkpoints: a run's state in one file, from which it goes on as if uninterrupted."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from meta.theta import Theta, group, on_device, prefixed
from meta.training.build import finished, make_training
from meta.training.config import TrainCfg
from meta.training.format import FORMAT, read, seal, write
from meta.training.trained import Trained, config_of, fitting
from meta.training.trainer import Training

_ADAM = ("step", "exp_avg", "exp_avg_sq")


def save_checkpoint(path: Path, trainer: Training) -> None:
    """Write a run's state.

    Raises:
        OSError: if the file cannot be written; an existing one is then untouched.
    """
    tensors = prefixed("theta", trainer.theta)
    tensors |= prefixed("adam", _adam_tensors(trainer.optimizer))
    tensors |= prefixed("memory", trainer.memory)
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    metadata = {
        "format": FORMAT,
        "config": json.dumps(asdict(trainer.cfg)),
        "iteration": str(trainer.iteration),
        "env_steps": str(trainer.env_steps),
    }
    write(path, tensors, metadata)


def checksum_of(policy: Trained) -> str:
    """Return the checksum of the file that `save_policy` would write."""
    return seal(*_file_of(policy))


def save_policy(policy: Trained, path: Path | str) -> None:
    """Write a policy; its file loads, but cannot be resumed.

    Raises:
        OSError: if the file cannot be written; an existing one is then untouched.
    """
    write(path, *_file_of(policy))


def _file_of(policy: Trained) -> tuple[Theta, dict[str, str]]:
    tensors = prefixed("theta", finished(policy.cfg, policy.theta))
    return {k: v.detach().cpu().contiguous() for k, v in tensors.items()}, {
        "format": FORMAT,
        "config": json.dumps(asdict(policy.cfg)),
        "iteration": str(policy.iteration),
        "env_steps": str(policy.env_steps),
    }


def resume_trainer(path: Path, cfg: TrainCfg | None = None) -> Training:
    """Continue a run from its checkpoint.

    Args:
        path: the checkpoint.
        cfg: replaces the checkpoint's configuration, to train for longer.

    Raises:
        ValueError: as `load_trained`, or if the checkpoint holds no optimiser, or more
            iterations than are asked for.
    """
    tensors, metadata = read(path)
    done = int(metadata["iteration"])
    if cfg and done > cfg.iterations:
        raise ValueError(
            f"{path} has {done} iterations already: train on to as many or more, not "
            f"to {cfg.iterations}"
        )
    trainer = make_training(cfg or config_of(path, metadata))
    state = group(tensors, "adam")
    if not state:
        raise ValueError(f"{path} holds a policy only and cannot be resumed")
    saved = fitting(group(tensors, "theta"), trainer.theta, str(path))
    with torch.no_grad():
        for name, value in saved.items():
            trainer.theta[name].copy_(value)
    _restore_adam(trainer.optimizer, state, path)
    memory = group(tensors, "memory")
    trainer.memory = on_device(memory, next(iter(saved.values())).device)
    trainer.iteration = done
    trainer.env_steps = int(metadata["env_steps"])
    return trainer


def _adam_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {f"{i}.{k}": v for i, entry in state.items() for k, v in entry.items()}


def _restore_adam(
    optimizer: torch.optim.Optimizer, saved: Mapping[str, Tensor], path: Path
) -> None:
    leaves = [p for entry in optimizer.param_groups for p in entry["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in saved.items():
        place, _, key = name.partition(".")
        index = int(place) if place.isdecimal() and len(place) < 9 else len(leaves)
        shape = leaves[index].shape if index < len(leaves) else None
        if key not in _ADAM or value.shape != (() if key == "step" else shape):
            raise ValueError(f"the optimiser in {path} does not fit its configuration")
        state.setdefault(index, {})[key] = value
    if any(len(entry) < len(_ADAM) for entry in state.values()):
        raise ValueError(f"the optimiser in {path} does not fit its configuration")
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
