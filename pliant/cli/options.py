"""Checks that several commands share: files, numbers, objects of the user's own."""

import errno
import importlib
import os
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pliant.cli.parsing import Name, Names

if TYPE_CHECKING:
    from meta.language.complete import Complete
    from meta.language.nearest import Nearest
    from meta.training.trained import Trained
    from tasks.named import Trusted
    from tasks.objects.object_set import ObjectSet

Up = Literal["x", "y", "z"]
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, kw_only=True)
class Named:
    """Options of commands that read policies: what may be imported for them."""

    family: Name = None
    """Family of your own, as module:Class, that the policy is of. It is imported only
    if it is named here."""
    method: Names = ""
    """Learners of your own, as module:Class, likewise."""

    @property
    def named(self) -> "Trusted":
        """All that the user named."""
        from tasks.named import Trusted

        return Trusted(
            family=tuple(filter(None, [self.family])),
            method=tuple(filter(None, self.method.split(","))),
        )

    def check_named(self, *policies: "Trained") -> None:
        """Raise ValueError if something was named that none of the policies is of."""
        for kind, given in self.named._asdict().items():
            found = sorted({getattr(trained.cfg, kind) for trained in policies})
            for name in given:
                if name not in found:
                    raise ValueError(
                        f"{policies[0].source} is of {kind} {' or '.join(found)}, "
                        f"not {name}"
                    )


def check_object_options(given: object, scale: float, up: Up) -> None:
    """Refuse options that would say nothing without an object.

    Raises:
        ValueError: for a scale or an axis without an object.
    """
    if not given and (scale, up) != (1.0, "z"):
        raise ValueError("--scale and --up are about --object: name its file, too")


def own_objects(
    path: Path | None, scale: float = 1.0, up: Up = "z", family: str = ""
) -> "ObjectSet | None":
    """Read a user's objects, and report on stderr where one was not kept exactly.

    Args:
        path: a file or a folder; None is fine.
        scale: metres per unit of the files.
        up: axis of the files that points upwards.
        family: name of the one that is to handle them, if any is.
    """
    if path is None:
        return None
    from tasks.objects.object_set import load_objects
    from tasks.registry import fitting

    fits = fitting(family) if family else None

    with warned():
        return load_objects(path, scale=scale, up=up, say=_say, fits=fits)


@contextmanager
def warned() -> Generator[list[warnings.WarningMessage]]:
    """Say on stderr, in a line each, what is warned of within; yield what is caught."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield caught
    for warning in caught:
        if warning.category is UserWarning:
            print(f"pliant: {warning.message}", file=sys.stderr)


def _say(line: str) -> None:
    """Say on a terminal why nothing happens for a while."""
    if sys.stderr.isatty():
        print(f"pliant: {line}", file=sys.stderr)


def language_model(
    url: str | None, cassette: Path | None
) -> "Complete | Nearest | None":
    """Return the language model that a user named, its answers on a cassette or not.

    Raises:
        ValueError: for a URL that cannot be asked, a file that is no cassette, or a
            packaged encoder that is not installed.
        OSError: if the file cannot be read.
    """
    from meta.language.complete import Cassette, Endpoint

    if url == "minilm":
        from meta.language.nearest import Nearest

        if cassette:
            raise ValueError("--cassette keeps answers of a server, and minilm is none")
        return Nearest()
    endpoint = Endpoint(url=url) if url else None
    if cassette is None:
        return endpoint
    return Cassette(path=cassette, complete=endpoint)


def reported(paragraph: str, family: str, model: "Complete | Nearest | None") -> str:
    """Return a report as a language model words it, or as it is, saying why."""
    from meta.language.complete import NotRecordedError
    from meta.language.nearest import Nearest
    from meta.language.report import worded
    from tasks.registry import find_family

    if model is None or isinstance(model, Nearest):
        return paragraph

    with warned():
        try:
            return worded(paragraph, find_family(family).hidden, model)
        except NotRecordedError as error:
            warnings.warn(f"{error}: the report is the template's", stacklevel=1)
    return paragraph


def check_can_be_written(path: Path | None, suffix: str = "") -> None:
    """Refuse a file that could not be written, before any time is spent on it.

    Args:
        path: the file; None is fine.
        suffix: the ending that its name must have.

    Raises:
        ValueError: for another ending, or for something that is no file, which would
            be replaced by one.
        OSError: if the file cannot be written.
    """
    if path is None:
        return
    code = 0
    if path.is_dir():
        code = errno.EISDIR
    elif not path.parent.is_dir():
        code = errno.ENOENT
    elif not os.access(path.parent, os.W_OK):
        code = errno.EACCES
    if code:
        raise OSError(code, os.strerror(code), str(path))
    from meta.machine.files import check_replaceable

    check_replaceable(path)
    if suffix and path.suffix != suffix:
        raise ValueError(f"{path}: the name of this file must end in {suffix}")


def numbers(text: str, option: str) -> tuple[int, ...]:
    """Return the whole numbers that an option lists.

    Raises:
        ValueError: for anything else.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"{option} takes whole numbers such as 0,1,5, got {text!r}"
        ) from None


def import_mujoco() -> None:
    """Import MuJoCo whatever OpenGL the machine has: only pictures need one.

    `import mujoco` fails for good where the backend that MUJOCO_GL names cannot be
    loaded; `robots.sim.render` looks for the backend again, and says how to cure it.
    """
    backend = os.environ.pop("MUJOCO_GL", None)
    try:
        importlib.import_module("mujoco")
    finally:
        if backend is not None:
            os.environ["MUJOCO_GL"] = backend
