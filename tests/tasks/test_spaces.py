"""Spaces of Gymnasium as tensors, and families whose actions are choices."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, Graph, flatten
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3 import PPO

from meta.learners.maml_cfg import MamlCfg
from meta.recipes.registry import make_config
from meta.training.build import make_training
from meta.training.checkpoint import save_checkpoint
from meta.training.config import TrainCfg
from meta.training.trained import load_trained
from tasks.adapters.sb3 import TaskVecEnv
from tasks.external import ExternalEnv, ExternalFamily
from tasks.named import Trusted
from tasks.parameters import Choice, Value
from tasks.registry import make_env


class Levers(gymnasium.Env[Any, Any]):
    """Three levers, one of which pays; pulls are numbered from 5."""

    observation_space = Dict(
        {
            "time": Box(0, 1, (1,), np.float32),
            "last": Discrete(4),
            "paid": Box(0, 1, (1, 2), np.float64),
        }
    )
    action_space: Any = Discrete(3, start=5)
    pays: int = 0
    odd: ClassVar[Any] = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.time, self.last, self.paid = 0, 3, 0.0
        return self._obs(), {}

    def step(self, action: Any) -> tuple[Any, ...]:
        assert action in self.action_space
        self.time, self.last = self.time + 1, int(action) - 5
        self.paid = float(self.last == self.pays)
        # half the envs would call NaN a success
        info = {"is_success": self.paid or np.nan}
        return self._obs(), self.paid, False, self.time == 4, info

    def _obs(self) -> Any:
        return {
            "time": np.array([self.time / 4], np.float32),
            "last": self.last,
            "paid": np.array([[self.paid, 1 - self.paid]]),
        }


class Bandit(ExternalFamily):
    """Find the lever that pays."""

    horizon, obs_dim, action_dim, discrete = 4, 7, 3, True
    parameters = (Choice(name="pays", options=("left", "middle", "right")),)
    mode: ClassVar[AutoresetMode] = AutoresetMode.SAME_STEP
    kind: ClassVar[Any] = Levers

    def make(self, worlds: int) -> SyncVectorEnv:
        return SyncVectorEnv([self.kind] * worlds, autoreset_mode=self.mode)

    def set_tasks(
        self, envs: Any, worlds: Sequence[int], tasks: Sequence[Mapping[str, Value]]
    ) -> None:
        names = ["left", "middle", "right"]
        for world, task in zip(worlds, tasks, strict=True):
            envs.envs[world].pays = names.index(str(task["pays"]))


class Truthful(Bandit):
    mode = AutoresetMode.DISABLED


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bandit(worlds: int = 3, kind: type[Bandit] = Bandit) -> ExternalEnv:
    env = ExternalEnv(kind(), worlds=worlds)
    [task] = env.family.sample("train", 0, 1)
    names = ("left", "middle", "right")
    env.assign(
        [replace(task, parameters={"pays": names[w % 3]}) for w in range(worlds)]
    )
    return env


@pytest.mark.parametrize("kind", [Bandit, Truthful])
def test_a_dict_is_flattened_and_the_largest_component_chosen(
    kind: type[Bandit],
) -> None:
    env = bandit(kind=kind)
    env.reset(seeded())
    pull = torch.tensor([[0.2, 0.1, -1.0], [0.0, 0.0, 1.0], [-0.3, -0.2, -0.1]])
    step = env.step(pull)
    assert step.reward.tolist() == [1, 0, 1]
    assert step.success.tolist() == [True, False, True]  # NaN is none
    one = Levers()
    one.reset()
    for world, (pays, action) in enumerate(zip(range(3), (5, 7, 7), strict=True)):
        one.reset()
        one.pays = pays
        obs, *_ = one.step(action)
        assert step.obs[world].tolist() == list(flatten(one.observation_space, obs))
    for _ in range(3):
        step = env.step(pull)
    # of the last step, whatever the vector environment has begun since
    assert step.obs[:, 6].tolist() == [1.0] * 3
    assert step.truncated.all()
    assert not step.fault.any()
    faulty = torch.full((3, 3), torch.nan)
    env.reset(seeded())
    assert env.step(faulty).fault.all()


class Whole(Levers):
    action_space = Box(-2, 3, (3,), np.int64)

    def step(self, action: Any) -> tuple[Any, ...]:
        assert action in self.action_space
        self.seen = action
        self.time = 1
        return self._obs(), 0.0, False, False, {}


def test_whole_numbers_are_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bandit, "kind", Whole)
    monkeypatch.setattr(Bandit, "discrete", False)
    env = bandit(1)
    env.reset(seeded())
    envs: Any = env.envs
    # -1, 0 and 1 are -2, 0.5 and 3; 0.21 is 1.025, and -0.45 is -0.625
    for given, wanted in (((-1, 0.21, 1), (-2, 1, 3)), ((-0.45, 0.2, 9), (-1, 1, 3))):
        env.step(torch.tensor([given]))
        assert tuple(envs.envs[0].seen) == wanted


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"discrete": False}, r"Box of 3 numbers, .*; state discrete = True and act"),
        ({"action_dim": 4}, "are to be Discrete, 4 choices, got Discrete"),
        ({"obs_dim": 6}, "are to flatten to a Box of 6 numbers, got Dict"),
        ({"kind": Whole}, "are to be Discrete, 3 choices, got Box"),
    ],
)
def test_spaces_that_are_not_as_stated_are_refused(
    changes: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in changes.items():
        monkeypatch.setattr(Bandit, name, value)
    with pytest.raises(ValueError, match=words):
        make_env(Bandit(), worlds=2)


def test_what_gymnasium_cannot_flatten_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Odd(Levers):
        observation_space: Any = Graph(Box(0, 1, (2,)), None)

    monkeypatch.setattr(Bandit, "kind", Odd)
    with pytest.raises(ValueError, match="are to flatten to a Box of 7 numbers, got G"):
        make_env(Bandit(), worlds=1)


# -- learning --------------------------------------------------------------------------


def config(method: str, **changes: Any) -> TrainCfg:
    cfg = make_config(Bandit.name, method)
    if isinstance(cfg.learner, MamlCfg):
        changes = {"learner": replace(cfg.learner, adapt_episodes=())} | changes
    return replace(cfg, **{"hidden": (8,), "tasks": 12, "episodes": 5} | changes)


def test_it_learns_to_find_the_lever() -> None:
    """Chance is 4/3; one episode tells which lever pays, and the rest is 4."""
    learner = MamlCfg(inner_rate=1.0, rate=0.02, learned_advantage=True)
    cfg = config("maml", iterations=25, episodes=3, learner=learner)
    trainer = make_training(cfg)
    found = [trainer.step() for _ in range(25)]
    pre, post = (np.mean([m[k] for m in found[-5:]]) for k in RETURNS)
    assert pre < 2.6
    assert post > 3.2
    assert found[-1]["faults"] == 0


RETURNS = ("return_pre", "return_post")


def test_the_oracle_pulls_the_lever_that_pays(tmp_path: Any) -> None:
    cfg = config("oracle", iterations=15)
    cfg = replace(cfg, learner=replace(cfg.learner, rate=0.05))
    trainer = make_training(cfg)
    for _ in range(15):
        trainer.step()
    save_checkpoint(tmp_path / "oracle.safetensors", trainer)
    trained = load_trained(
        str(tmp_path / "oracle.safetensors"), named=Trusted([Bandit.name])
    )
    env = make_env(Bandit(), worlds=6, oracle=True)
    env.assign(env.family.sample("held-out", 1, 6))
    measured = trained.begin(6).measure(env)
    assert measured.returns.tolist() == [4.0] * 6
    assert measured.log_std is None


@pytest.mark.parametrize("method", ["dr", "rma", "sysid", "dr-sb3", "rl2", "varibad"])
def test_every_method_trains_on_choices(method: str) -> None:
    trainer = make_training(config(method, tasks=2, iterations=2))
    for _ in range(2):
        metrics = trainer.step()
        assert all(np.isfinite(value) for value in metrics.values())


@pytest.mark.parametrize("method", ["maml", "dr", "dr-sb3", "rl2"])
def test_a_batch_of_one_sample_leaves_numbers(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One task, one episode, one step."""
    monkeypatch.setattr(Bandit, "horizon", 1)
    trainer = make_training(config(method, tasks=1, episodes=1, iterations=2))
    for _ in range(2):
        trainer.step()
    for name, value in trainer.theta.items():
        assert value.isfinite().all(), name


def test_stable_baselines_is_given_choices() -> None:
    env = TaskVecEnv(bandit(kind=Truthful))
    assert env.action_space == Discrete(3)
    env.reset()
    pays = [next(iter(t.parameters.values())) for t in env.env.tasks]
    best = np.array([("left", "middle", "right").index(str(p)) for p in pays])
    _, reward, _, infos = env.step(best)
    assert reward.tolist() == [1, 1, 1]
    assert [info["is_success"] for info in infos] == [True] * 3
    for given, words in (
        ([0, 1, 3], r"actions are 0 to 2, got \[0.0, 1.0, 3.0\]"),
        ([0, 1, -1], "actions are 0 to 2"),
        ([[0, 1, 2]], r"actions have shape \(3,\) here, got \(1, 3\)"),
    ):
        with pytest.raises(ValueError, match=words):
            env.step(np.array(given))
    PPO("MlpPolicy", env, n_steps=8, batch_size=8, device="cpu", seed=0).learn(24)
    env.set_options({"tsk": env.env.tasks[0]})
    with pytest.raises(ValueError, match="unknown option 'tsk'; did you mean 'task'"):
        env.reset()
