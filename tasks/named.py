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
from typing import Any


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
    except Exception as error:  # a module may raise anything when it is imported
        raise ValueError(f"{name!r} cannot be imported: {error}") from error


def check_named(kind: str, name: object, given: Collection[str]) -> None:
    """Refuse a name out of a file that would be imported, unless the user gave it.

    Args:
        kind: the kind of thing that is named: family or method.
        name: the name in the file.
        given: the names that the user gave, without those that name something else.

    Raises:
        ValueError: saying what to add, or that another was given.
    """
    if isinstance(name, str) and ":" in name and name not in given:
        if others := sorted(n for n in given if ":" in n):
            raise ValueError(f"its {kind} is {name}, not {' or '.join(others)}")
        raise ValueError(
            f"its {kind} is {name}, and no code is run because a file says so: add "
            f"--{kind} {name} (in Python {kind}={name!r}) if you trust it"
        )
