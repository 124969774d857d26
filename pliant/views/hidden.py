"""The hidden parameters of a recording in words."""

from meta.recording.trajectory import Recording
from tasks.family import Family
from tasks.parameters import Parameter, Scalar, Scaled, Value


def hidden_parameters(recording: Recording, family: Family) -> list[str]:
    """Return names, values and units of what is hidden, and what it changes to."""
    return [
        f"{p.name.replace('_', ' ')} {_quantity(p, recording.task.parameters[p.name])}"
        + _change(p, recording)
        for p in family.hidden
    ]


def _change(p: Parameter, recording: Recording) -> str:
    """Say what the value is when it differs most from that of the beginning."""
    first = recording.task.parameters[p.name]
    later = [task.parameters[p.name] for task in recording.changes.values()]
    others = [value for value in later if value != first]
    if not others:
        return ""
    far = max(others, key=lambda value: abs(p.number(value) - p.number(first)))
    return f" to {_quantity(p, far)}"


def _quantity(parameter: Parameter, value: Value) -> str:
    if isinstance(parameter, Scaled):
        parameter = parameter.of
    if not isinstance(parameter, Scalar) or isinstance(value, str):
        return str(value)
    unit = "" if parameter.unit == "1" else f" {parameter.unit}"
    return f"{value:.3g}{unit}"
