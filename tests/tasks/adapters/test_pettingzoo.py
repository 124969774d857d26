"""Teams as PettingZoo's environments, and PettingZoo's as teams."""

import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from pettingzoo import ParallelEnv
from pettingzoo.test import parallel_api_test, parallel_seed_test

from examples.spread import AGENTS, Spread
from meta.training.build import make_trainer
from meta.training.config import TrainCfg
from robots.sim.tape import cpu_simulator
from tasks.adapters.parallel_family import Game, ParallelFamily, ParallelRows
from tasks.adapters.pettingzoo import TeamEnv
from tasks.env import Env
from tasks.external import ExternalEnv
from tasks.parameters import Scalar, Value
from tasks.registry import FAMILIES, make_family
from tasks.rows import agent_parameter
from tasks.task import Task

TEAMS = [name for name, kind in FAMILIES.items() if kind.agents]


def draws(env: TeamEnv, steps: int, seed: int = 3) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {a: rng.uniform(-1, 1, env.action_space(a).shape) for a in env.possible_agents}
        for _ in range(steps)
    ]


# -- ours as theirs ------------------------------------------------------------------


@pytest.mark.parametrize("name", TEAMS)
def test_every_team_passes_pettingzoo_own_tests(name: str) -> None:
    parallel_api_test(TeamEnv(name), num_cycles=100)
    parallel_seed_test(lambda: TeamEnv(name), num_cycles=60)


def test_a_team_moves_as_its_worlds_do() -> None:
    env = TeamEnv("shove", split="held-out")
    _, infos = env.reset(seed=5)
    tasks = [Task(**_fields(infos[a]["task"])) for a in env.possible_agents]
    ours = Env(make_family("shove"), worlds=2, threads=1)
    ours.assign(tasks)
    ours.reset(torch.Generator().manual_seed(0))
    theirs = env._stream.env
    cpu_simulator(ours.sim).set_state(cpu_simulator(theirs.sim).state())
    ours._now = theirs._now
    cut: dict[str, bool] = {}
    for actions in draws(env, 20):
        obs, reward, ended, cut, infos = env.step(actions)
        rows = np.stack([actions[a] for a in env.possible_agents])
        step = ours.step(torch.from_numpy(rows).float())
        for row, agent in enumerate(env.possible_agents):
            assert np.array_equal(obs[agent], step.obs[row].numpy())
            assert reward[agent] == float(step.reward[row])
            assert infos[agent]["is_success"] == bool(step.success[row])
            assert not ended[agent]
    assert all(cut.values())
    assert env.agents == []
    assert env.step({}) == ({}, {}, {}, {}, {})


def _fields(text: str) -> dict[str, Any]:
    task = make_family("shove").parse(text)
    return {n: getattr(task, n) for n in ("family", "split", "seed", "parameters")}


def test_a_reset_takes_the_task_of_any_agent() -> None:
    env = TeamEnv("shove")
    left, right = make_family("shove").sample("extrapolation", 4, 2)
    for given in (left, right, right.to_json()):
        _, infos = env.reset(options={"task": given})
        assert env.task == left
        assert [make_family("shove").parse(i["task"]) for i in infos.values()] == [
            left,
            right,
        ]
    with pytest.raises(ValueError, match="not a task"):
        env.reset(options={"task": "no"})


def test_the_state_is_what_all_agents_see() -> None:
    env = TeamEnv("shove", oracle=True)
    obs, _ = env.reset(seed=0)
    assert env.state_space.contains(env.state())
    assert np.array_equal(env.state(), np.concatenate(list(obs.values())))
    env.step(draws(env, 1)[0])
    assert not np.array_equal(env.state(), np.concatenate(list(obs.values())))


def test_what_is_no_team_and_who_does_not_act_is_refused() -> None:
    with pytest.raises(ValueError, match="'strike' is no team; teams: shove"):
        TeamEnv("strike")
    env = TeamEnv("shove")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"act are left, right; got .*left"):
        env.step({"left": np.zeros(1)})
    with pytest.raises(ValueError, match="shape"):
        env.step({"left": np.zeros(2), "right": np.zeros(1)})


def test_a_pickle_holds_the_arguments() -> None:
    env = pickle.loads(pickle.dumps(TeamEnv("shove", split="held-out")))
    env.reset(seed=0)
    assert env.task.split == "held-out"


# -- theirs as ours ------------------------------------------------------------------


class Countdown(ParallelEnv[str, Any, Any]):
    """Agents walk a line by their own pace; `b` leaves after two steps."""

    def __init__(self) -> None:
        self.metadata, self.possible_agents = {"name": "countdown"}, ["a", "b"]
        self.pace, self.agents, self.resets = 1.0, list[str](), 0

    def observation_space(self, agent: str) -> Box:
        return Box(-np.inf, np.inf, (1,), np.float32)

    def action_space(self, agent: str) -> Box:
        return Box(-2.0, 2.0, (1,), np.float32)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents, self.time, self.resets = ["a", "b"], 0, self.resets + 1
        self.at = dict.fromkeys(self.agents, np.zeros(1, np.float32))
        return dict(self.at), {a: {} for a in self.agents}

    def step(self, actions: Any) -> Any:
        acted, self.time = list(self.agents), self.time + 1
        assert set(actions) == set(acted)
        for a in acted:
            self.at[a] = (self.at[a] + self.pace * actions[a]).astype(np.float32)
        gone = {a: a == "b" and self.time == 2 for a in acted}
        self.agents = [a for a in acted if not gone[a]]
        return (
            {a: self.at[a] for a in acted},
            {a: float(self.at[a][0]) for a in acted},
            gone,
            dict.fromkeys(acted, False),
            {a: {"success": self.at[a][0] > 1} for a in acted},
        )


class Walk(ParallelFamily):
    """Walk at a hidden pace."""

    agents = ("a", "b")
    horizon, obs_dim, action_dim = 4, 1, 1
    parameters = (
        agent_parameter(("a", "b")),
        Scalar(name="pace", unit="1", low=0.5, high=1.5),
    )

    def make_game(self) -> Game:
        return Countdown()

    def set_task(self, game: Game, parameters: Mapping[str, Value]) -> None:
        assert isinstance(game, Countdown)
        assert set(parameters) == {"pace"}
        game.pace = float(parameters["pace"])


def walked(rows: int) -> tuple[Walk, ExternalEnv]:
    family = Walk()
    return family, ExternalEnv(family, worlds=rows)


def games(env: ExternalEnv) -> list[Countdown]:
    assert isinstance(env.envs, ParallelRows)
    return [game for game in env.envs.games if isinstance(game, Countdown)]


def test_rows_meet_in_the_world_of_their_task() -> None:
    family, env = walked(8)
    tasks = [t for t in family.sample("train", 0, 4) for _ in range(2)]
    env.assign(tasks)
    env.reset(torch.Generator().manual_seed(0))
    actions = torch.tensor([[0.5], [0.25], [-0.5], [1.0]]).repeat(2, 1)
    step = env.step(actions)
    paces = torch.tensor([[float(t.parameters["pace"])] for t in tasks])
    torch.testing.assert_close(step.obs, 2 * paces * actions)
    assert torch.equal(step.success, step.obs[:, 0] > 1)
    assert [game.pace for game in games(env)] == [
        tasks[i].parameters["pace"] for i in (0, 1, 4, 5)
    ]


def test_an_agent_that_leaves_ends_no_other_and_resets_no_world() -> None:
    family, env = walked(4)
    env.assign([t for t in family.sample("train", 0, 4)])
    env.reset(torch.Generator().manual_seed(0))
    one = torch.full((4, 1), 0.5)
    steps = [env.step(one) for _ in range(4)]
    ended = torch.tensor([False, True, False, True])
    assert torch.equal(steps[1].terminated, ended)
    assert torch.equal(steps[3].terminated, ended)
    assert torch.equal(steps[3].truncated, ~ended | steps[3].truncated)
    assert (steps[3].obs[~ended] > steps[2].obs[~ended]).all()
    assert torch.equal(steps[3].obs[ended], steps[1].obs[ended])
    assert [game.resets for game in games(env)] == [1, 1]
    obs = env.reset(torch.Generator().manual_seed(1), torch.tensor([2, 3]))
    assert obs[2:].abs().max() == 0
    assert torch.equal(obs[0], steps[3].obs[0])
    with pytest.raises(ValueError, match="begin together"):
        env.reset(torch.Generator(), torch.tensor([1]))


def test_a_stranger_among_the_agents_is_refused() -> None:
    class Other(Walk):
        agents = ("a", "c")
        name = "other"

    with pytest.raises(ValueError, match=r"states the agents a, c; .* has a, b"):
        ExternalEnv(Other(), worlds=2)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["maml", "dr-memory"])
def test_a_public_environment_is_learnt_as_a_team(method: str) -> None:
    from meta.recipes.registry import make_config
    from meta.training.config import replaced

    name = "examples.spread:Spread"
    few = {"iterations": 1, "tasks": 6, "episodes": 5, "threads": 1}
    cfg: TrainCfg = replaced(make_config(name, method), few)
    metrics = make_trainer(cfg).step()
    assert np.isfinite(list(metrics.values())).all()


def test_thrust_moves_the_agent_whose_it_is() -> None:
    family = Spread()
    env = ExternalEnv(family, worlds=3)
    tasks = family.sample("train", 0, 3)
    env.assign(tasks)
    before = env.reset(torch.Generator().manual_seed(0))
    push = torch.zeros(3, 5) - 1
    push[:, 1] = 1  # no force but one along x
    env.step(push)
    moved = (env.step(push).obs - before)[:, 2]
    thrust = [float(tasks[0].parameters[f"thrust_{i}"]) for i in range(len(AGENTS))]
    # unless they touch, they move as they are pushed
    ratio = moved / torch.tensor(thrust)
    torch.testing.assert_close(ratio, ratio.mean().expand(3), rtol=0.02, atol=0)
