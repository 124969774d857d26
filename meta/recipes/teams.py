"""Recipes of the families in `tasks.teams`."""

from dataclasses import replace

from meta.recipes.manipulation import ARM

RECIPES = {
    # as single arms, with as many worlds: a task is one agent's
    "shove": replace(ARM, iterations=200, tasks=40),
    "tasks.teams.carry:Carry": replace(ARM, iterations=200, tasks=40),
    "tasks.teams.crossing:Crossing": replace(ARM, iterations=80, tasks=40),
}
