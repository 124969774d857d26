"""Recipes of the families in `tasks.teams`."""

from dataclasses import replace

from meta.recipes.manipulation import ARM

RECIPES = {
    # as single arms, with as many worlds: a task is one agent's
    "shove": replace(ARM, iterations=200, tasks=40),
    "carry": replace(
        ARM,
        # by larger steps MAML-PPO diverges; unasked, its unadapted policy drops cartons
        maml=replace(ARM.maml, unadapted=0.3, rate=2e-3),
        plain=replace(ARM.maml, learned_advantage=False),
        tasks=40,
        outer_baseline="network",
    ),
    # with less noise a robust pair learns that both slow down, and earns half
    "tasks.teams.crossing:Crossing": replace(
        ARM, iterations=140, tasks=40, outer_baseline="network", initial_std=1.0
    ),
}
