"""Checkpoints: one safetensors file with tensors, configuration and a checksum.

No pickle is read or written. A file is replaced atomically, so that a killed run leaves
the last whole one.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

import assets
from meta.learner import Learner
from meta.learners.maml_cfg import MamlCfg
from meta.learners.rma import HistoryCfg
from meta.theta import Theta, group, on_device, prefixed
from meta.training.config import TrainCfg
from meta.training.trainer import Training, make_learner, make_training
from tasks.registry import find_family, make_env

T = TypeVar("T")
FORMAT = "pliant-1"
CHECKPOINT = "checkpoint.safetensors"
SHIPPED = "shipped:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A policy that has been meta-trained, with all it needs to adapt."""

    cfg: TrainCfg
    learner: Learner
    theta: Theta
    iteration: int
    env_steps: int
    source: str
    """Where it was loaded from, as the user named it."""
    checksum: str = ""
    """Of the file that it was loaded from."""


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
    _write(path, tensors, metadata)


def export_policy(spec: str, path: Path) -> None:
    """Write what it takes to use a policy, and not what it takes to train it on.

    The optimiser and the value network are left out.

    Args:
        spec: as for `load_trained`.
        path: of the new file, which loads as the policy but cannot be resumed.

    Raises:
        ValueError: if there is no such file, or it is truncated or corrupt.
        OSError: if the file cannot be written; an existing one is then untouched.
    """
    tensors, metadata = _read(locate(spec))
    kept = prefixed("theta", _used(group(tensors, "theta")))
    del metadata["sha256"]
    _write(path, kept, metadata)


def load_trained(spec: str, device: torch.device | str = "cpu") -> Trained:
    """Load a policy from a run folder, a file, or `shipped:NAME`, onto a device.

    It need not be the device that it was trained on.

    Raises:
        ValueError: if there is none, or the file is truncated, corrupt or of another
            format.
    """
    tensors, metadata = _read(locate(spec))
    cfg = parse_config(metadata["config"])
    family = find_family(cfg.family)
    env = make_env(family, worlds=1, oracle=cfg.privileged, threads=1)
    learner = make_learner(cfg, env)
    saved = _used(group(tensors, "theta"))
    theta = _fitting(saved, learner.initial(env.obs_dim), spec)
    return Trained(
        cfg=cfg,
        learner=learner,
        theta=on_device(theta, device),
        iteration=int(metadata["iteration"]),
        env_steps=int(metadata["env_steps"]),
        source=spec,
        checksum=metadata["sha256"],
    )


def resume_trainer(path: Path, cfg: TrainCfg | None = None) -> Training:
    """Continue a run from its checkpoint.

    Args:
        path: the checkpoint.
        cfg: replaces the checkpoint's configuration, to train for longer.

    Raises:
        ValueError: as `load_trained`, or if the checkpoint holds no optimiser.
    """
    tensors, metadata = _read(path)
    trainer = make_training(cfg or parse_config(metadata["config"]))
    saved = _fitting(group(tensors, "theta"), trainer.theta, str(path))
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


def checkpoint_config(path: Path) -> TrainCfg:
    """The configuration that a checkpoint was trained with.

    Raises:
        ValueError: as `load_trained`.
    """
    return parse_config(_read(path)[1]["config"])


def checksum(path: Path) -> str:
    """What tells a checkpoint from any other.

    Raises:
        ValueError: as `load_trained`.
    """
    return _read(path)[1]["sha256"]


def parse_config(text: str) -> TrainCfg:
    """Read a configuration's JSON.

    Raises:
        ValueError: if it lacks a field, has one too many, or one is not allowed.
    """
    try:
        raw: dict[str, Any] = json.loads(text)
        parts = {
            "learner": _from_json(MamlCfg, raw["learner"]),
            # files older than the adapters have none
            "history": _from_json(HistoryCfg, raw.get("history", {})),
        }
        return _from_json(TrainCfg, raw | parts)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a training configuration: {error}") from error


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by a whole new one, or leave it as it was.

    Only one process may write a path at a time.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def shipped_policies(family: str = "", method: str = "") -> list[str]:
    """Names that `load_trained` takes after `shipped:`, perhaps of one method only."""
    folder = assets.ROOT / "policies"
    names = sorted(path.stem for path in folder.glob("*.safetensors"))
    if not method:
        return names
    first = family if method == "maml" else f"{family}-{method}"
    return [n for n in names if re.fullmatch(rf"{re.escape(first)}(-seed\d+)?", n)]


def locate(spec: str) -> Path:
    """The file of a policy: in a run folder, itself, or shipped.

    Raises:
        ValueError: if there is none.
    """
    if spec.startswith(SHIPPED):
        name = spec.removeprefix(SHIPPED)
        known = shipped_policies()
        if name not in known:
            raise ValueError(
                f"no shipped policy {name!r}; shipped: {', '.join(known) or 'none'}"
            )
        return assets.path(f"policies/{name}.safetensors")
    path = Path(spec)
    path = path / CHECKPOINT if path.is_dir() else path
    if not path.is_file():
        raise ValueError(
            f"no policy at {spec!r}: give a run folder, a .safetensors file or "
            f"{SHIPPED}NAME"
        )
    return path


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        opened: Any = safe_open(path, framework="pt")
        with opened as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors: dict[str, Tensor] = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is truncated or no checkpoint: {error}") from error
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"{path} has format {metadata.get('format')!r}, expected {FORMAT!r}"
        )
    said = metadata.pop("sha256", None)
    if said != _checksum(tensors, metadata):
        raise ValueError(f"{path} is corrupt: its checksum does not match")
    return tensors, metadata | {"sha256": said or ""}


def _write(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    sealed = {**metadata, "sha256": _checksum(tensors, metadata)}
    write_atomically(path, save(dict(tensors), sealed))


def _used(theta: Theta) -> Theta:
    """A value network is of no use to a policy that has been trained."""
    return {k: v for k, v in theta.items() if not k.startswith("critic/")}


def _fitting(saved: Theta, expected: Theta, source: str) -> Theta:
    shapes = {k: tuple(v.shape) for k, v in expected.items()}
    if {k: tuple(v.shape) for k, v in saved.items()} != shapes:
        raise ValueError(f"the tensors in {source} do not fit its configuration")
    return saved


def _checksum(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Over all that the file says, and no two files of equal parts the same bytes."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


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


def _from_json(kind: type[T], raw: Mapping[str, Any]) -> T:
    described: Any = kind
    unknown = set(raw) - {f.name for f in fields(described)}
    if unknown:
        raise ValueError(f"unknown settings: {', '.join(sorted(unknown))}")
    # JSON has no tuples, and a configuration has nothing but them
    lists: dict[str, list[Any]] = {k: v for k, v in raw.items() if isinstance(v, list)}
    return kind(**dict(raw) | {k: tuple(v) for k, v in lists.items()})
