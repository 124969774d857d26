"""The file of a policy: safetensors with tensors, configuration and a checksum.

No pickle is read or written. A file is replaced atomically, so that a killed run leaves
the last whole one.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from meta.machine.files import read_bytes, write_atomically
from meta.registry import find_method
from meta.training.config import TrainCfg, setting_names, settings_of
from tasks.named import NOTHING, Trusted, check_named, imported
from tasks.registry import FAMILIES
from tasks.strict_json import BROKEN, parse_json

T = TypeVar("T")
FORMAT = "pliant-2"
READABLE = ("pliant-1", FORMAT)
"""In pliant-1, every method had MAML's settings, and an adapter's beside them."""
_ADAPTERS = ("rma", "sysid")
_WRITTEN: dict[Any, tuple[type, ...]] = {
    bool: (bool,),
    int: (int,),
    float: (int, float),
    str: (str,),
}
"""Types that JSON may give a setting of a type; of other types they are not checked."""


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a file's tensors and metadata.

    Raises:
        ValueError: if it is truncated, corrupt or of another format.
        OSError: if it cannot be read.
    """
    content = read_bytes(path)
    try:
        tensors, metadata = load(content), _metadata(content)
        said = metadata.pop("sha256", "")
        found = seal(tensors, metadata)
    except (*BROKEN, SafetensorError, RuntimeError) as error:
        raise ValueError(f"{path} is truncated or no checkpoint: {error}") from error
    if metadata.get("format") not in READABLE:
        raise ValueError(
            f"{path} has format {metadata.get('format')!r}, expected "
            f"{' or '.join(READABLE)}"
        )
    if said != found:
        raise ValueError(f"{path} is corrupt: its checksum does not match")
    for name in ("iteration", "env_steps"):
        if not re.fullmatch(r"\d{1,18}", metadata.get(name, "")):
            raise ValueError(f"{path} says no number of {name.replace('_', ' ')}")
    return tensors, metadata | {"sha256": said}


def _metadata(content: bytes) -> dict[str, str]:
    """Return the metadata in a file's header, which safetensors has checked."""
    size = int.from_bytes(content[:8], "little")
    found = parse_json(content[8 : 8 + size]).get("__metadata__", {})
    return {str(k): str(v) for k, v in found.items()}


def write(
    path: Path | str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
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


def parse_config(text: str, named: Trusted = NOTHING) -> TrainCfg:
    """Read a configuration's JSON.

    Args:
        text: the JSON.
        named: the families and methods that the user has named: of those that stand
            elsewhere no other is imported.

    Raises:
        ValueError: if it lacks a field, has one too many, or one is not allowed, or
            names a family or method that stands elsewhere and that the user did not.
    """
    try:
        raw = _translated(dict(parse_json(text)))
        check_named("family", raw.get("family"), named.family, FAMILIES)
        check_named("method", raw.get("method"), named.method)
        settings = imported(find_method(raw["method"]).settings)
        learner = _from_json(settings, raw["learner"])
        return _from_json(TrainCfg, raw | {"learner": learner})
    except ValueError:
        raise
    except BROKEN as error:
        raise ValueError(f"not a training configuration: {error}") from error


def check_storable(cfg: TrainCfg) -> None:
    """Raise ValueError for settings that a checkpoint would not give back as they are.

    Two settings of one name could not be told apart on the command line either.
    """
    names = setting_names(cfg)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{cfg.method} has two settings named {', '.join(twice)}")
    for name, value in settings_of(cfg.learner):
        try:
            json.dumps(asdict(value) if is_dataclass(value) else value)  # pyright: ignore
        except TypeError as error:
            raise ValueError(
                f"setting {name!r} of {cfg.method} cannot be stored as JSON: {error}"
            ) from error
    if parse_config(json.dumps(asdict(cfg)), cfg.named) != cfg:
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
    return kind(**{k: _value(k, hints[k], v) for k, v in raw.items()})


def _value(name: str, kind: Any, value: Any) -> Any:  # noqa: ANN401
    if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
        return _from_json(kind, value)
    # JSON has no tuples, and a configuration has nothing but them
    value = tuple(value) if isinstance(value, list) else value
    each = value if get_origin(kind) is tuple else (value,)
    inner = get_args(kind)[0] if get_origin(kind) is tuple else kind
    allowed = _WRITTEN.get(inner, (object,))
    # type, because a bool is an int
    if not all(object in allowed or type(v) in allowed for v in each):
        raise ValueError(f"not a training configuration: {name} cannot be {value!r}")
    if inner is float:  # JSON writes some of them as whole numbers
        numbers = tuple(map(float, each))
        return numbers if isinstance(value, tuple) else numbers[0]
    return value
