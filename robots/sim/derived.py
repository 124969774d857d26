"""Constants that MuJoCo derives from fields of a model, of which worlds have others."""

from collections.abc import Sequence

import mujoco

_GEOMETRIC = ("geom_rbound", "geom_aabb")
_INERTIAL = (
    "body_subtreemass",
    "body_invweight0",
    "dof_invweight0",
    "tendon_length0",
    "tendon_invweight0",
    "actuator_acc0",
)


def derived(model: mujoco.MjModel, fields: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the constants that MuJoCo derives from these fields."""
    inputs = set(fields) & set(mujoco.MjModel._setconst_inputs)
    geometric = inputs & {"geom_size", "geom_dataid"}
    inertial = {name for name in inputs if not name.startswith("geom_")}
    names = (_GEOMETRIC if geometric else ()) + (_INERTIAL if inertial else ())
    return tuple(n for n in names if n not in fields and getattr(model, n).size)
