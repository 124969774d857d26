"""Teams in worlds: who acts, who has ended, what is told and what leaks."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import mujoco
import numpy as np
import pytest
import torch
from torch import Tensor

import meta.evaluation.leak
from meta.evaluation.leak import probe_family
from meta.evaluation.lie import _others
from tasks.contract import Values
from tasks.env import Env
from tasks.family import Family, Instant, Outcome
from tasks.parameters import Scalar
from tasks.rows import AGENT, agent_parameter
from tasks.teams.shove import Shove

AGENTS = ("front", "rear")
MODEL = """
<mujoco>
  <option timestep="0.01"/>
  <worldbody>
    <body><joint name="x" type="slide" axis="1 0 0"/><geom size="0.1" mass="1"/></body>
  </worldbody>
  <actuator><motor joint="x"/><motor joint="x"/></actuator>
</mujoco>
"""


class Sledge(Family):
    """Two motors push one mass; the front one's episode ends after two steps."""

    name = "sledge"
    agents: ClassVar[tuple[str, ...]] = AGENTS
    horizon, substeps = 6, 5
    obs_dim, action_dim = 2, 1
    parameters = (
        agent_parameter(AGENTS),
        Scalar(name="lag", unit="s", low=0.0, high=1.0),
    )
    fields = ()
    weights: ClassVar[Mapping[str, float]] = {"own": 1.0}

    def compile(self) -> mujoco.MjModel:
        return mujoco.MjModel.from_xml_string(MODEL)

    def model_fields(self, values: Values) -> Mapping[str, Tensor]:
        return {}

    def start(self, values: Values, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        return torch.zeros(len(values["lag"]), 1), torch.zeros(len(values["lag"]), 1)

    def control(self, now: Instant, action: Tensor) -> Tensor:
        return action[..., 0]

    def observe(self, now: Instant) -> Tensor:
        seen = torch.cat([now.readings.qpos, now.readings.qvel], -1)
        return seen[:, None].expand(-1, 2, -1)

    def judge(self, before: Instant, now: Instant, action: Tensor) -> Outcome:
        over = torch.zeros(len(action), 2, dtype=torch.bool)
        over[:, 0] = now.progress >= 2 / self.horizon
        return Outcome(
            terms={"own": action[..., 0].abs()},
            success=torch.zeros(len(action), dtype=torch.bool),
            terminated=over,
        )


def made(worlds: int = 1) -> Env:
    env = Env(Sledge(), worlds=2 * worlds, threads=1)
    env.assign(env.family.sample("train", 0, 2 * worlds))
    env.reset(torch.Generator().manual_seed(0))
    return env


def test_an_agent_that_ended_acts_no_more_and_the_other_goes_on() -> None:
    env = made()
    both = torch.ones(2, 1)
    steps = [env.step(both) for _ in range(6)]
    assert [s.terminated.tolist() for s in steps[:3]] == [
        [False, False],
        [True, False],
        [True, False],
    ]
    # two newtons for two steps, then one for four: v = sum of F t / m
    velocity = env._now.readings.qvel.item()
    assert velocity == pytest.approx(0.05 * (2 * 2 + 4 * 1), rel=1e-5)
    assert steps[-1].reward.tolist() == [0.0, 1.0]
    env.reset(torch.Generator().manual_seed(0))
    env.step(both)
    assert env._now.readings.qvel.item() == pytest.approx(0.05 * 2, rel=1e-5)


def test_an_agent_whose_action_was_no_number_acts_no_more() -> None:
    env = made()
    env.step(torch.tensor([[1.0], [float("nan")]]))
    step = env.step(torch.ones(2, 1))
    assert step.fault.tolist() == [False, True]
    assert env._now.readings.qvel.item() == pytest.approx(0.05 * 2, rel=1e-5)


def test_the_agents_of_a_team_are_told_the_same_lie() -> None:
    numbers = np.repeat(np.arange(5, dtype=np.float32), 2)
    drawn = _others(numbers, 2, np.random.default_rng(0))
    assert np.array_equal(numbers[drawn][::2], numbers[drawn][1::2])
    assert (numbers[drawn] != numbers).all()


class Leaking(Shove):
    """Each arm sees from its own end where the weight is."""

    name = "leaking"

    def observe(self, now: Instant) -> Tensor:
        seen = super().observe(now).clone()
        seen[..., 0] = 5 * self._signs * now.values["load_x"][:, None]
        return seen


def test_a_leak_in_an_agents_own_frame_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        meta.evaluation.leak,
        "make_env",
        lambda family, worlds: Env(family, worlds=worlds, threads=1),
    )
    leaks = {x.parameter: x for x in probe_family(Leaking(), "held-out", 0, tasks=100)}
    assert leaks["load_x"].significant
    assert leaks["load_x"].r2 > 0.9
    honest = {x.parameter: x for x in probe_family(Shove(), "held-out", 0, tasks=100)}
    assert not any(leak.significant for leak in honest.values())


def test_a_world_is_what_the_task_of_any_agent_says() -> None:
    family = Sledge()
    first, second = family.sample("train", 3, 2)
    assert family.of_team(second) == (first, second)
    assert replace(second, parameters={**second.parameters, AGENT: "front"}) == first
