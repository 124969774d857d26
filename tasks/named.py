"""Things named by where they stand: `module:Class`."""

import importlib
import os
import sys
from operator import attrgetter
from typing import Any


def imported(name: str) -> Any:  # noqa: ANN401  (whatever stands there)
    """Import what `module:Class` names.

    The module is looked for where Python does, and last in the working directory.

    Raises:
        ValueError: if there is no such module, or nothing of that name in it.
    """
    module, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        return attrgetter(attribute)(importlib.import_module(module))
    except Exception as error:  # a module may raise anything when it is imported
        raise ValueError(f"{name!r} cannot be imported: {error}") from error
