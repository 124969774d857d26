"""Messages: what one robot found out about a task, for another that will meet it.

A message carries a belief in physical units, and beside it who speaks, after how many
episodes, and how those went. It is read strictly: what is not as this page says is
refused in one line. Its texts are for people. They are kept and shown, and nothing
looks into them: whatever they ask for, what is believed is the belief.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from meta.language.belief import (
    Belief,
    Number,
    as_object,
    parsed_belief,
    scalar_of,
    trained_on,
)
from tasks.contract import TaskFamily
from tasks.parameters import Scalar
from tasks.strict_json import BROKEN, parse_json

VERSION = 1
"""Version of the JSON that this reads and writes."""
MESSAGE_DOUBT = 0.1
"""Share of doubt about a message: it says how sure it is, and was found to be right so
often on training tasks. Words, which do not, are doubted more; see `belief.DOUBT`."""
LONGEST = {"sender": 200, "family": 200, "handled": 200, "advice": 2000, "text": 2000}
"""Most characters of each text."""
_MOST_EPISODES = 1_000_000
_LARGEST = 1 << 16  # characters of a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The sender's own success with the task."""

    mean_return: float
    """Mean return of its episodes."""
    success: float
    """Share of them that succeeded."""

    def __post_init__(self) -> None:
        """Refuse what no episode returns."""
        if not (math.isfinite(self.mean_return) and 0 <= self.success <= 1):
            raise ValueError(
                "an outcome has a finite mean_return and a success of 0 to 1, got "
                f"{self.mean_return} and {self.success}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A belief about a task, and where it comes from."""

    sender: str
    family: str
    """Family of the task."""
    belief: Belief
    episodes: int
    """Episodes that the sender lived with the task."""
    handled: str = ""
    """A name for the object that the task is about, as the sender calls it."""
    outcome: Outcome | None = None
    advice: str = ""
    """Words for whoever reads them; no robot acts on them."""
    text: str = ""
    """The belief in words."""

    def __post_init__(self) -> None:
        """Refuse texts that are too long or cannot be printed, and odd counts."""
        check_texts(**{name: getattr(self, name) for name in LONGEST})
        if not 0 <= self.episodes <= _MOST_EPISODES:
            raise ValueError(
                f"episodes is 0 to {_MOST_EPISODES:,}, got {self.episodes:,}"
            )

    def to_json(self) -> str:
        """Return the message as JSON, which `read_message` reads."""
        raw: dict[str, Any] = {"version": VERSION}
        raw |= {f.name: getattr(self, f.name) for f in fields(self)}
        raw["belief"] = json.loads(self.belief.to_json())
        raw["outcome"] = asdict(self.outcome) if self.outcome else None
        return json.dumps(raw, allow_nan=False)


def read_message(text: str, family: TaskFamily) -> Message:
    """Read a message's JSON about a task of a family.

    Args:
        text: the JSON.
        family: the reader's own: a message cannot name code that is then imported.

    Raises:
        ValueError: for anything but a message of this version about that family, whose
            numbers lie where some split draws.
    """
    try:
        if len(text) > _LARGEST:
            raise ValueError(f"at most {_LARGEST:,} characters, got {len(text):,}")
        message = _parsed(as_object(parse_json(text), "it"), family)
        heard(message, family)
    except BROKEN as error:
        raise ValueError(f"not a message: {error}") from error
    return message


def heard(message: Message, family: TaskFamily) -> Belief:
    """Return what a message makes its reader believe.

    Numbers that only other splits draw are moved into the training range, and are less
    sure by as much.

    Raises:
        ValueError: for another family's message, or a number that no split draws.
    """
    _check_about(message.family, family)
    for parameter in family.hidden:
        x, scalar = message.belief.about.get(parameter.name), scalar_of(parameter)
        if isinstance(x, Number) and scalar:
            low, high = reach(scalar)
            if not low <= x.mean <= high:
                raise ValueError(
                    f"{parameter.name!r} is {low:g} to {high:g} {scalar.unit} in every "
                    f"split, got {x.mean:g}"
                )
    return trained_on(message.belief, family.hidden)


def reach(scalar: Scalar) -> tuple[float, float]:
    """Return the least and the greatest value that any split draws."""
    ends = [x for pair in ((scalar.low, scalar.high), *scalar.beyond) for x in pair]
    return min(ends), max(ends)


def _parsed(raw: Mapping[str, Any], family: TaskFamily) -> Message:
    if type(raw.get("version")) is not int or raw["version"] != VERSION:
        raise ValueError(f"version is {VERSION}, got {raw.get('version')!r}")
    given, known = set(raw) - {"version"}, [f.name for f in fields(Message)]
    needed = {"sender", "family", "belief", "episodes"}
    if not needed <= given <= set(known):
        odd = sorted((needed - given) | (given - set(known)))
        raise ValueError(
            f"its fields are version, {', '.join(known)}, all but the last four "
            f"needed; missing or unknown: {', '.join(map(repr, odd))[:200]}"
        )
    # before the belief, which would be refused for the other family's parameters
    _check_about(_typed(raw, "family", str), family)
    return Message(
        **{name: _typed(raw, name, str) for name in given & set(LONGEST)},
        episodes=_typed(raw, "episodes", int),
        belief=parsed_belief(as_object(raw["belief"], "belief"), family.hidden),
        outcome=_outcome(raw.get("outcome")),
    )


def _check_about(name: str, family: TaskFamily) -> None:
    if name != family.name:
        raise ValueError(
            f"a message about {name!r:.60}, where the task is of {family.name!r}; what "
            "is said of the same object pliant.read_message translates, given sender="
        )


def _outcome(raw: object) -> Outcome | None:
    if raw is None:
        return None
    given = as_object(raw, "outcome")
    if set(given) != {"mean_return", "success"}:
        raise ValueError(
            f"outcome has a mean_return and a success, got {', '.join(given)[:100]}"
        )
    return Outcome(**{name: _typed(given, name, float, int) for name in given})


def _typed(raw: Mapping[str, Any], name: str, *kinds: type) -> Any:  # noqa: ANN401
    """Return a field of one of some types; a bool is no number."""
    if type(raw[name]) not in kinds:
        names = {str: "text", int: "a whole number", float: "a number"}
        raise ValueError(f"{name} is {names[kinds[0]]}, got {raw[name]!r:.50}")
    return raw[name]


def check_texts(**texts: object) -> None:
    """Raise ValueError unless each is text that can be printed, of a length allowed."""
    for name, text in texts.items():
        if not isinstance(text, str):
            raise ValueError(f"{name} is text, got {text!r:.50}")
        if len(text) > LONGEST[name]:
            raise ValueError(
                f"{name} has at most {LONGEST[name]:,} characters, got {len(text):,}"
            )
        if not text.replace("\n", "").isprintable():
            raise ValueError(
                f"{name} has characters that cannot be printed: {text!r:.100}"
            )
