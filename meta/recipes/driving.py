"""Recipes of the families in `tasks.driving`."""

from dataclasses import replace

from meta.recipes.manipulation import ARM

RECIPES = {
    # few episodes, of which one action decides: as the families of the arms
    "drive-slide": replace(ARM, iterations=150),
    "drive-avoid": replace(ARM, iterations=150),
    "drive-park": replace(ARM, iterations=150, outer_baseline="network"),
    "drive-fork": replace(ARM, iterations=80),
}
