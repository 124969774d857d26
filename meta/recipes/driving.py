"""Recipes of the families in `tasks.driving`."""

from meta.learners.maml_cfg import MamlCfg
from meta.recipes.recipe import Recipe

RECIPES = {
    # few episodes, of which one action decides: as the families of the arms
    "drive-slide": Recipe(
        maml=MamlCfg(
            rate=4e-3,
            epochs=12,
            clip=0.2,
            learned_advantage=True,
            inner_baseline="pooled",
            adapt_episodes=(1, 2, 3, 5),
        ),
        iterations=150,
        tasks=20,
        episodes=5,
        measure_rounds=2,
        min_std=0.15,
    ),
}
