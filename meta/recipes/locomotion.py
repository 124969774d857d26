"""Recipes of the families in `tasks.locomotion`."""

from meta.learners.maml_cfg import MamlCfg
from meta.recipes.recipe import Recipe

RECIPES = {
    "cheetah-direction": Recipe(
        maml=MamlCfg(rate=2e-3, learned_advantage=True, inner_baseline="pooled"),
        # ProMP's recipe, which needs no baseline from elsewhere
        plain=MamlCfg(rate=2e-3),
        iterations=300,
        tasks=20,
        episodes=10,
    ),
    "cheetah-velocity": Recipe(
        maml=MamlCfg(
            rate=2e-3,
            learned_advantage=True,
            inner_baseline="pooled",
            adapt_episodes=(1, 2, 3, 5),
        ),
        iterations=200,
        tasks=20,
        episodes=5,
    ),
}
