"""Recipes of the families in `tasks.manipulation`."""

from dataclasses import replace

from meta.learners.maml_cfg import MamlCfg
from meta.recipes.recipe import Recipe

# few episodes and hidden dynamics: a learned inner advantage, a baseline that does not
# depend on the adapting episodes, and every number of episodes met in training
_FEW = MamlCfg(
    rate=4e-3,
    epochs=12,
    clip=0.2,
    learned_advantage=True,
    inner_baseline="pooled",
    adapt_episodes=(1, 2, 3, 5),
)
ARM = Recipe(
    maml=_FEW, iterations=300, tasks=20, episodes=5, measure_rounds=2, min_std=0.15
)
REACH_ROTATED = replace(ARM, iterations=200)
RECIPES = {
    # longer, the oracle is no better on shapes like those it knows, and worse on unseen
    "strike": replace(ARM, iterations=400, iterations_of={"oracle": 200}),
    # unasked, the unadapted policy of push ends up near chance, and adapts to less
    "push": replace(ARM, iterations=200, maml=replace(_FEW, unadapted=0.3)),
    "grasp": ARM,
    "open": ARM,
    # one step of thirty tells where the hole is: a plain mean hardly hears it
    "insert": replace(ARM, maml=replace(_FEW, weighed_summary=True)),
    "intercept": replace(ARM, iterations=200),
    "reach-rotated": REACH_ROTATED,
}
