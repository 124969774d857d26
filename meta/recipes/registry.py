"""Complete training configurations, by family and method."""

from collections.abc import Mapping

from meta.learner import sequential
from meta.recipes import driving, locomotion, manipulation, people, teams
from meta.recipes.recipe import Recipe
from meta.registry import DEFAULT, find_method
from meta.training.config import TrainCfg
from meta.training.format import check_storable
from tasks.named import imported

RECIPES: Mapping[str, Recipe] = {
    **manipulation.RECIPES,
    **locomotion.RECIPES,
    **driving.RECIPES,
    **teams.RECIPES,
    **people.RECIPES,
}
FALLBACK = manipulation.REACH_ROTATED
"""The recipe of a family that has none of its own."""


def make_config(family: str, method: str = DEFAULT) -> TrainCfg:
    """Return the configuration that a family is trained with unless told otherwise.

    Every method takes as many env steps an iteration: the one phase of those that do
    not adapt has as many episodes as all phases of MAML together, and one that adapts
    to each episode in turn lives one trial with each task, and has as many more tasks.
    They get as many iterations, unless the family's recipe says otherwise.

    Raises:
        ValueError: for an unknown family or method.
    """
    recipe, entry = RECIPES.get(family, FALLBACK), find_method(method)
    if entry.recipe:
        learner = imported(entry.recipe)(recipe)
    else:
        learner = imported(entry.settings)()
    tasks, episodes = recipe.tasks, recipe.episodes
    rounds = max(1, recipe.phases - learner.inner_steps)
    if sequential(imported(entry.learner)):
        tasks, episodes, rounds = recipe.lived // (learner.inner_steps + 1), 1, 1
    cfg = TrainCfg(
        family=family,
        method=method,
        learner=learner,
        iterations=recipe.iterations_of.get(method, recipe.iterations),
        tasks=max(1, tasks),
        episodes=episodes,
        measure_rounds=rounds,
        initial_std=recipe.initial_std,
        min_std=recipe.min_std,
    )
    check_storable(cfg)
    return cfg
