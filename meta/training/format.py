"""The file of a policy: safetensors with tensors, configuration and a checksum.

No pickle is read or written. A file is replaced atomically, so that a killed run leaves
the last whole one.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from meta.machine.files import write_atomically
from meta.registry import find_method
from meta.training.config import TrainCfg, setting_names
from tasks.named import imported

T = TypeVar("T")
FORMAT = "pliant-2"
READABLE = ("pliant-1", FORMAT)
"""In pliant-1, every method had MAML's settings, and an adapter's beside them."""
_ADAPTERS = ("rma", "sysid")


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a file's tensors and metadata.

    Raises:
        ValueError: if it is truncated, corrupt or of another format.
    """
    try:
        opened: Any = safe_open(path, framework="pt")
        with opened as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors: dict[str, Tensor] = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is truncated or no checkpoint: {error}") from error
    if metadata.get("format") not in READABLE:
        raise ValueError(
            f"{path} has format {metadata.get('format')!r}, expected "
            f"{' or '.join(READABLE)}"
        )
    said = metadata.pop("sha256", None)
    if said != seal(tensors, metadata):
        raise ValueError(f"{path} is corrupt: its checksum does not match")
    return tensors, metadata | {"sha256": said or ""}


def write(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write a file, sealed by its checksum.

    Raises:
        OSError: if it cannot be written; an existing one is then untouched.
    """
    sealed = {**metadata, "sha256": seal(tensors, metadata)}
    write_atomically(path, save(dict(tensors), sealed))


def seal(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Return a checksum over all that a file says."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def parse_config(text: str) -> TrainCfg:
    """Read a configuration's JSON.

    Raises:
        ValueError: if it lacks a field, has one too many, or one is not allowed.
    """
    try:
        raw = _translated(dict(json.loads(text)))
        settings = imported(find_method(raw["method"]).settings)
        learner = _from_json(settings, raw["learner"])
        return _from_json(TrainCfg, raw | {"learner": learner})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a training configuration: {error}") from error


def check_storable(cfg: TrainCfg) -> None:
    """Raise ValueError for settings that a checkpoint would not give back as they are.

    Two settings of one name could not be told apart on the command line either.
    """
    names = setting_names(cfg)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{cfg.method} has two settings named {', '.join(twice)}")
    for name in setting_names(cfg.learner):
        value = getattr(cfg.learner, name, None)
        try:
            json.dumps(asdict(value) if is_dataclass(value) else value)  # pyright: ignore
        except TypeError as error:
            raise ValueError(
                f"setting {name!r} of {cfg.method} cannot be stored as JSON: {error}"
            ) from error
    if parse_config(json.dumps(asdict(cfg))) != cfg:
        raise ValueError(
            f"the settings of {cfg.method} are not the same when they are read again: "
            "use numbers, text, tuples of them, and dataclasses"
        )


def _translated(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration of pliant-1 as it is written now; others as they are."""
    if "history" not in raw:
        return raw
    now = {k: v for k, v in raw.items() if k != "history"}
    if raw["method"] in _ADAPTERS:
        now["learner"] = raw["history"] | {"teacher": raw["learner"]}
        # an adapter's first phase was counted among those that measure
        now["measure_rounds"] = max(1, raw["measure_rounds"] - 1)
    return now


def _from_json(kind: type[T], raw: Mapping[str, Any]) -> T:
    described: Any = kind
    unknown = set(raw) - {f.name for f in fields(described)}
    if unknown:
        raise ValueError(f"unknown settings: {', '.join(sorted(unknown))}")
    hints = get_type_hints(kind)
    return kind(**{k: _value(hints[k], v) for k, v in raw.items()})


def _value(kind: object, value: Any) -> Any:  # noqa: ANN401
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
        return _from_json(kind, value)
    # JSON has no tuples, and a configuration has nothing but them
    return tuple(value) if isinstance(value, list) else value
