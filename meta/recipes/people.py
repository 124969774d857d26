"""Recipes of the families in `tasks.people`."""

from dataclasses import replace

from meta.recipes.manipulation import ARM

RECIPES = {
    "handover": replace(ARM, iterations=120, outer_baseline="network"),
}
