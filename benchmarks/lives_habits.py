"""Habits of the agents whose lives are compared."""

import json
from dataclasses import replace
from pathlib import Path

from benchmarks.lives_tables import ALONE, LIBRARY
from meta.continual.habits import Habits

NONE = (
    Habits(recall="none"),
    Habits(recall="none", explore=2),
    Habits(recall="none", acted=True),
    Habits(recall="none", mistaken=True),
    Habits(recall="none", mistaken=True, acted=True),
    Habits(recall="none", mistaken=True, acted=True, explore=0),
)
SIMILAR = (
    Habits(look=1, sure=0.5),
    Habits(sure=0.7),
    Habits(mistaken=True, sure=0.5),
    Habits(mistaken=True, sure=0.7),
    Habits(mistaken=True, acted=True, explore=0, sure=0.5),
    Habits(mistaken=True, acted=True, explore=0, sure=0.7),
)
"""Habits that are tried for each of the two agents."""


def all_agents(none: Habits, similar: Habits) -> dict[str, Habits]:
    """Return all agents by name, given the habits without a library and with it."""
    others = replace(similar, look=min(1, none.explore), explore=none.explore)
    blind = Habits(recall="none", alert=False, look=0, explore=0)
    return {
        "never adapts": blind,
        "library": similar,
        "no library": none,
        "most recent": replace(others, recall="recent"),
        "at random": replace(others, recall="random"),
        "true parameters": replace(others, look=0, recall="truth"),
        "library, told of changes": replace(similar, notice="change"),
        "library, told the task": replace(similar, notice="task"),
        "library of 20": replace(similar, most=20),
        "fine-tuning without end": replace(blind, explore=1, endless=True),
    }


def read_tuned(path: Path) -> tuple[Habits, Habits]:
    """Return the habits that an earlier study found the best for the two agents."""
    agents = json.loads(path.read_text())["agents"]
    none, similar = (Habits(**agents[name]["habits"]) for name in (ALONE, LIBRARY))
    return none, similar
