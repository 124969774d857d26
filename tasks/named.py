"""Things named by where they stand: `module:Class`.

A name is code: whoever chooses it chooses what is run. A name that a file holds is
imported only if the user has given it, too (`check_named`).
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Collection
from operator import attrgetter
from typing import Any, NamedTuple


class Trusted(NamedTuple):
    """Names that the user gave: of what stands elsewhere, these alone are imported."""

    family: Collection[str] = ()
    method: Collection[str] = ()


NOTHING = Trusted()
_HERE = "__main__:"
"""Before the names of what a script or a notebook has made."""


def imported(name: str) -> Any:  # noqa: ANN401  (whatever stands there)
    """Import what `module:Class` names.

    The module is looked for where Python does, and last in the working directory.

    Raises:
        ValueError: if that is no such name, there is no such module, or nothing of that
            name in it.
    """
    module, _, attribute = name.partition(":")
    packages = module.split(".")
    if not all(part.isidentifier() for part in (*packages, *attribute.split("."))):
        raise ValueError(
            f"{name!r} cannot be imported: a name is module:Class, with dots between "
            "packages, as in mypackage.worlds:Point"
        )
    try:
        # for no other names than a user's own: files there hide nothing of Pliant's
        if importlib.util.find_spec(packages[0]) is None:
            sys.path.append(os.getcwd())
            importlib.invalidate_caches()
        return attrgetter(attribute)(importlib.import_module(module))
    # a module may raise anything when it is imported, or end the process
    except (Exception, SystemExit) as error:
        said = f"{error}" if isinstance(error, Exception) else "it ends the process"
        gone = isinstance(error, ModuleNotFoundError) and error.name == packages[0]
        # a folder of that name, such as a run's, is imported as an empty package
        if gone or getattr(sys.modules.get(module), "__file__", "") is None:
            said += (
                "; go to the folder that it is in, or if it was renamed "
                f"{stand_in(name)}"
            )
        raise ValueError(f"{name!r} cannot be imported: {said}") from error


def place_of(kind: type) -> str:
    """Return the `module:Class` that names a class in any process; empty if none does.

    None does where it is made in a notebook, a script or a function.
    """
    name = f"{kind.__module__}:{kind.__qualname__}"
    try:
        found = kind.__module__ != "__main__" and imported(name) is kind
    except ValueError:
        found = False
    return name if found else ""


def stand_in(name: str, now: str = "") -> str:
    """Return the advice by which a name still finds a class that was renamed.

    Args:
        name: the old name.
        now: the new one, if it is known.
    """
    module, _, attribute = name.partition(":")
    kind = attribute.rpartition(".")[2]
    there = now.removeprefix(f"{module}:").replace(":", ".") or f"renamed.{kind}"
    return f"let a module {module} have a `class {kind}({there})`"


def check_named(
    kind: str, name: object, given: Collection[str], known: Collection[str] = ()
) -> None:
    """Refuse a name out of a file that would be imported, unless the user gave it.

    Args:
        kind: the kind of thing that is named: family or method.
        name: the name in the file.
        given: the names of that kind that the user gave.
        known: names that need no module; others without one are refused, if any is.

    Raises:
        ValueError: saying what to add, and what was given.
    """
    if not isinstance(name, str):
        return
    there = (
        f"found there alone, by pliant.load(..., {kind}=...); put it into a module, "
        "import it from there and train anew"
    )
    if ":" not in name and known and name not in known:
        raise ValueError(
            f"its {kind} {name} is none of Pliant's; a class that states this name in "
            f"a script or a notebook is {there}"
        )
    if ":" not in name or name in given:
        return
    if name.startswith(_HERE):
        raise ValueError(
            f"its {kind} {name} was made in a script or a notebook, and is {there}"
        )
    others = f", not {' or '.join(sorted(given))}" if given else ""
    own = [other for other in sorted(given) if ":" in other]
    advice = f"; if it is {own[0]} now, {stand_in(name, own[0])}" if own else ""
    raise ValueError(
        f"its {kind} is {name}{others}, and no code is run because a file says so: "
        f"add --{kind} {name} (in Python load with {kind}={name!r}) if you trust it"
        f"{advice}"
    )
