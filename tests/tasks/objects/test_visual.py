"""The surfaces of a user's object are drawn instead of its parts, and touch nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from robots.sim.render import Renderer
from robots.sim.tape import cpu_simulator
from tasks.env import Env
from tasks.objects.generator import make_solid
from tasks.objects.solids import Solid
from tasks.objects.visuals import Visual
from tasks.registry import make_family

GREEN = (0.1, 0.8, 0.1, 1.0)


def seen(solid: Solid) -> Solid:
    """The solid with a green tent that is larger than it, a grey sheet and a line."""
    corners = 1.2 * np.array([[-1.0, -1, 0], [1, -1, 0], [0, 1, 0], [0, 0, 1.5]])
    half = np.ptp(solid.vertices, axis=0).max() / 2
    tent = Visual(half * corners, np.array([[0, 1, 3], [1, 2, 3], [2, 0, 3]]), GREEN)
    flat = Visual(half * corners[:3], np.array([[0, 1, 2]]), (0.5, 0.5, 0.5, 1.0))
    line = Visual(half * corners[[0, 1]], np.array([[0, 1, 1]]), (1.0, 0.0, 0.0, 1.0))
    return replace(solid, visual=(tent, flat, line))


@pytest.mark.parametrize("name", ["strike", "push", "grasp"])
def test_what_is_drawn_is_no_part_of_the_physics(name: str) -> None:
    flat = name != "grasp"
    plain = [make_solid(kind, 0, flat=flat) for kind in ("box", "ell")]
    # one of the two has surfaces, and the other has more parts
    dressed = [seen(plain[0]), plain[1]]
    episodes: list[torch.Tensor] = []
    for solids in (plain, dressed):
        family = make_family(name, objects=solids)
        env = Env(family, worlds=6, oracle=True, threads=1)
        tasks = [*family.sample("train", 0, 3), *family.sample("unseen", 0, 3)]
        assert len({task.parameters["shape"] for task in tasks}) == 2
        env.assign(tasks)
        rng = torch.Generator().manual_seed(1)
        observed = [env.reset(torch.Generator().manual_seed(0))]
        for _ in range(family.horizon):
            action = 2 * torch.rand(6, family.action_dim, generator=rng) - 1
            observed.append(env.step(action).obs)
        episodes.append(torch.stack(observed))
    assert torch.equal(*episodes)


def test_surfaces_are_seen_in_their_colour_instead_of_the_parts() -> None:
    plain = make_solid("box", 0, flat=True)
    shares: dict[str, tuple[float, float]] = {}
    for label, solid in (("parts", plain), ("surfaces", seen(plain))):
        family = make_family("push", objects=solid)
        env = Env(family, worlds=1, threads=1)
        env.assign(family.sample("train", 0, 1))
        env.reset(torch.Generator().manual_seed(0))
        sim = cpu_simulator(env.sim)
        with Renderer(sim.model_of(0), width=320, height=240) as renderer:
            renderer.zoom(sim.state())
            picture = renderer.draw(sim.state()[0]).astype(int)
        red, green, blue = picture.reshape(-1, 3).T
        orange = (red > green + 60) & (green > blue + 20)
        own = (green > red + 60) & (green > blue + 60) & (red < 40)
        shares[label] = (float(orange.mean()), float(own.mean()))
    assert shares["parts"][0] > 0.01 > 0.0001 > shares["surfaces"][0]
    assert shares["surfaces"][1] > shares["parts"][1] + 0.01
