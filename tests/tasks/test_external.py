"""Families in vector environments of Gymnasium: what is passed on, and what added."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space

from meta.evaluation.evaluate import evaluate
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.leak import Leak, probe_family
from meta.experience.rollout import collect
from meta.learners.maml_cfg import MamlCfg
from meta.recipes.registry import make_config
from meta.training.build import make_trainer, make_training
from meta.training.config import TrainCfg
from meta.training.run import train
from meta.training.trained import load_trained
from pliant.cli.main import main
from policies.gaussian import Gaussian
from tasks.contract import Worlds
from tasks.external import ExternalEnv, ExternalFamily
from tasks.named import Trusted
from tasks.parameters import Scalar, Value
from tasks.registry import FAMILIES, find_family, make_env, make_family

MODES = tuple(AutoresetMode)


# -- a toy: a point that is drawn to a goal it does not see ----------------------------


class PointVector(VectorEnv[Any, Any, Any]):
    """Points in the plane; they start about the middle, and end 10 steps later."""

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.DISABLED}  # noqa: RUF012

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.single_observation_space = Box(-np.inf, np.inf, (3,), np.float64)
        self.single_action_space = Box(-0.2, 0.2, (2,), np.float64)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.goals = np.zeros((num_envs, 2))
        self.place, self.time = np.zeros((num_envs, 2)), np.zeros(num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, dtype=bool))
        start = self.np_random.uniform(-0.1, 0.1, self.place.shape)
        self.place[mask], self.time[mask] = start[mask], 0
        return self._obs(), {}

    def step(self, actions: np.ndarray) -> tuple[Any, ...]:
        assert actions in self.action_space
        self.place, self.time = self.place + actions, self.time + 1
        miss = np.linalg.norm(self.place - self.goals, axis=1)
        ended = self.time >= 10
        info = {"is_success": miss < 0.2}
        return self._obs(), np.exp(-miss), np.zeros_like(ended), ended, info

    def _obs(self) -> np.ndarray:
        return np.concatenate([self.place, self.time[:, None] / 10], axis=1)


class Point(ExternalFamily):
    """Goals anywhere in a square."""

    horizon = 10
    obs_dim = 3
    action_dim = 2
    max_worlds = 100
    parameters = tuple(
        Scalar(name=name, unit="m", low=-1.0, high=1.0) for name in ("x", "y")
    )

    def make(self, worlds: int) -> PointVector:
        return PointVector(worlds)

    def set_tasks(
        self,
        envs: Any,
        worlds: Sequence[int],
        tasks: Sequence[Mapping[str, Value]],
    ) -> None:
        envs.goals[worlds] = [[task["x"], task["y"]] for task in tasks]


def config(method: str = "maml", **changes: Any) -> TrainCfg:
    cfg = make_config(Point.name, method)
    return replace(cfg, iterations=30, hidden=(32,), tasks=20, **changes)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# -- an environment that says when it was stepped, and how -----------------------------


class Walk(gymnasium.Env[Any, Any]):
    """Adds actions up from a drawn start; ends after `length` steps."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float64)
    action_space = Box(np.array([0.0]), np.array([4.0]), dtype=np.float64)
    length: int = 100
    falls: bool = False
    sick: int = 100
    lost: bool = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.x, self.time = self.np_random.uniform(), 0
        return np.array([self.x, 0.0]), {}

    def step(self, action: np.ndarray) -> tuple[Any, ...]:
        assert action in self.action_space
        assert self.time < self.length, "stepped after its end"
        self.x, self.time = self.x + float(action[0]), self.time + 1
        ended = self.time == self.length
        reward = np.nan if self.time == self.sick else 10.0 * self.x
        return (
            np.array([self.x, self.time]),
            reward,
            ended and self.falls,
            ended and not self.falls,
            {"success": float(ended and self.falls)},
        )


class Walks(ExternalFamily):
    """Walks of a length that is set, in the autoreset mode that a subclass states."""

    horizon = 6
    obs_dim = 2
    action_dim = 1
    mode: ClassVar[AutoresetMode] = AutoresetMode.NEXT_STEP
    parameters = tuple(
        Scalar(name=n, unit="steps", low=1.0, high=9.0) for n in ("length", "sick")
    )

    def make(self, worlds: int) -> SyncVectorEnv:
        return SyncVectorEnv([Walk] * worlds, autoreset_mode=self.mode)

    def set_tasks(
        self,
        envs: Any,
        worlds: Sequence[int],
        tasks: Sequence[Mapping[str, Value]],
    ) -> None:
        for world, task in zip(worlds, tasks, strict=True):
            walk = envs.envs[world]
            walk.length, walk.sick = int(task["length"]), int(task["sick"])
            walk.falls = walk.length == 2


class Next(Walks):
    mode = AutoresetMode.NEXT_STEP


class Same(Walks):
    mode = AutoresetMode.SAME_STEP


class Disabled(Walks):
    mode = AutoresetMode.DISABLED


every_mode = pytest.mark.parametrize("kind", [Next, Same, Disabled])
# falls; ends by itself; by the horizon; all but never; and faulty in its third step
LENGTHS, SICK = (2, 3, 6, 100, 100), (100, 100, 100, 100, 3)


def walks(kind: type[Walks], lengths: Sequence[int] = LENGTHS) -> ExternalEnv:
    family = kind()
    env = ExternalEnv(family, worlds=len(lengths))
    give(env, lengths)
    return env


def give(
    env: ExternalEnv, lengths: Sequence[int], worlds: torch.Tensor | None = None
) -> None:
    [task] = env.family.sample("train", 0, 1)
    env.assign(
        [
            replace(task, parameters={"length": float(n), "sick": float(k)})
            for n, k in zip(lengths, SICK, strict=False)
        ],
        worlds,
    )


def by_hand(length: int, sick: int, seed: int, actions: Sequence[float]) -> list[Any]:
    """(obs, reward, terminated, truncated, success) of one walk, up to its end."""
    walk = Walk()
    walk.length, walk.falls = length, length == 2
    obs, _ = walk.reset(seed=seed)
    rows: list[Any] = [obs]
    for time, action in enumerate(actions, 1):
        if time == sick:
            return [*rows, (rows[-1] if time == 1 else rows[-1][0], 0, True, False, 0)]
        obs, reward, terminated, truncated, info = walk.step(np.array([action]))
        truncated = truncated or time == Walks.horizon
        rows.append((obs, reward, terminated, truncated, info["success"]))
        if terminated or truncated:
            break
    return rows


@every_mode
def test_episodes_are_those_of_the_wrapped_environment(kind: type[Walks]) -> None:
    """Under each autoreset mode: rewards, ends, and the last observation."""
    env = walks(kind)
    assert isinstance(env, Worlds)
    for _ in range(2):  # a second episode begins wherever the first ended
        rng = seeded(3)
        first = env.reset(rng)
        seed = int(torch.randint(2**31, (), generator=seeded(3)))
        actions = torch.rand(Walks.horizon, len(LENGTHS), 1) * 2 - 1
        steps = [env.step(action) for action in actions]
        for w, (length, sick) in enumerate(zip(LENGTHS, SICK, strict=True)):
            # actions in [-1, 1] are 0 to 4 here
            own = (2 + 2 * actions[:, w, 0].double()).tolist()
            obs, *rows = by_hand(length, sick, seed + w, own)
            assert first[w].tolist() == pytest.approx(obs.tolist())
            # what ended stays as it was, and earns nothing more
            kept = rows[-1]
            rows += [(kept[0], 0, *kept[2:])] * (Walks.horizon - len(rows))
            for step, (obs, reward, *flags) in zip(steps, rows, strict=True):
                assert step.obs[w].tolist() == pytest.approx(list(obs), rel=1e-6)
                assert float(step.reward[w]) == pytest.approx(reward, rel=1e-6)
                got = (step.terminated[w], step.truncated[w], step.success[w])
                assert [bool(x) for x in got] == [bool(x) for x in flags]
        assert steps[-1].fault.tolist() == [False] * 4 + [True]


@every_mode
def test_collecting_counts_each_episode_to_its_end(kind: type[Walks]) -> None:
    def still(obs: torch.Tensor) -> Gaussian:
        return Gaussian(-torch.ones(len(obs), 1), torch.zeros(len(obs), 1))

    env = walks(kind)
    rollout = collect(env, still, seeded(), explore=False)
    assert rollout.valid.sum(0).tolist() == [2, 3, 6, 6, 3]
    start = rollout.obs[0, :, 0]
    # it stands still: every step but a faulty one is worth ten times its start
    worth = 10 * start * torch.tensor([2, 3, 6, 6, 2])
    torch.testing.assert_close(rollout.returns, worth)
    assert rollout.success.tolist() == [True, False, False, False, False]
    assert rollout.fault.tolist() == [False] * 4 + [True]


def test_a_seed_decides_an_episode_and_each_reset_draws_another() -> None:
    env = walks(Next)
    rng = seeded(1)
    first, second = env.reset(rng), env.reset(rng)
    assert torch.equal(first, env.reset(seeded(1)))
    assert not torch.isclose(first[:, 0], second[:, 0]).any()
    assert first.dtype is torch.float32
    assert first[:, 0].unique().numel() == len(LENGTHS)


def test_some_worlds_are_reset_and_the_others_go_on() -> None:
    env, rng = walks(Disabled, (4, 4, 1)), seeded()
    env.reset(rng)
    still = -torch.ones(3, 1)
    env.step(still)
    before = env.step(still)
    give(env, (2,), torch.tensor([1]))
    assert [t.parameters["length"] for t in env.tasks] == [4.0, 2.0, 1.0]
    obs = env.reset(rng, torch.tensor([1]))
    # of what goes on, and of what has ended
    assert torch.equal(obs[[0, 2]], before.obs[[0, 2]])
    assert obs[1, 1] == 0
    assert obs[1, 0] != before.obs[1, 0]
    ends = [(s.terminated | s.truncated).tolist() for s in map(env.step, [still] * 2)]
    assert ends == [[False, False, True], [True, True, True]]


@pytest.mark.parametrize("kind", [Next, Same])
def test_some_worlds_are_not_reset_where_that_would_cost_a_step(
    kind: type[Walks],
) -> None:
    env = walks(kind)
    with pytest.raises(ValueError, match=r"DISABLED only; .*(NEXT|SAME)_STEP"):
        env.reset(seeded(), torch.tensor([1]))
    assert env.reset(seeded(), torch.arange(len(LENGTHS))).shape == (5, 2)


@every_mode
def test_an_action_that_is_no_number_is_a_fault_of_its_world(
    kind: type[Walks],
) -> None:
    env = walks(kind, (100, 100))
    obs = env.reset(seeded())
    action = torch.tensor([[torch.nan], [0.0]])
    step = env.step(action)
    assert step.fault.tolist() == step.terminated.tolist() == [True, False]
    assert torch.equal(step.obs[0], obs[0])
    assert step.reward[0] == 0
    assert step.reward[1] > 0
    assert not env.step(torch.zeros(2, 1)).success.any()
    env.reset(seeded())
    assert not env.step(torch.zeros(2, 1)).fault.any()


def test_a_start_that_is_no_number_is_a_fault() -> None:
    class Lost(Walk):
        def reset(self, **given: Any) -> tuple[np.ndarray, dict[str, Any]]:
            obs, info = super().reset(**given)
            return (np.array([np.inf, 0.0]) if self.lost else obs), info

    class Losing(Walks):
        def make(self, worlds: int) -> SyncVectorEnv:
            return SyncVectorEnv([Walk, Lost])

    Lost.lost = False
    env, still = walks(Losing, (100, 2)), torch.zeros(2, 1)
    env.reset(seeded())
    assert [env.step(still).success.tolist() for _ in range(2)][1] == [False, True]
    Lost.lost = True
    assert env.reset(seeded()).isfinite().all()
    step = env.step(still)
    assert step.fault.tolist() == step.terminated.tolist() == [False, True]
    assert step.obs.isfinite().all()
    # nothing is left of the episode before
    assert not step.success.any()


def test_a_faulty_world_is_not_stepped_on_where_it_can_be_reset() -> None:
    env = walks(Disabled)
    env.reset(seeded())
    for _ in range(4):
        env.step(torch.zeros(len(LENGTHS), 1))
    times = [walk.time for walk in env.envs.envs]  # pyright: ignore
    # ended in its 2nd step, and after a reset again; ended, and was faulty, in its 3rd
    assert times == [2, 1, 4, 4, 1]


def test_the_oracle_observes_the_hidden_parameters() -> None:
    env = make_env(Point(), worlds=4, oracle=True)
    tasks = env.family.sample("held-out", 0, 4)
    env.assign(tasks)
    told = torch.tensor([list(t.parameters.values()) for t in tasks])
    assert torch.allclose(env.reset(seeded())[:, 3:], told)
    assert torch.allclose(env.step(torch.zeros(4, 2)).obs[:, 3:], told)
    [other] = env.family.sample("held-out", 1, 1)
    env.assign([other], torch.tensor([2]))
    told[2] = torch.tensor(list(other.parameters.values()))
    assert torch.allclose(env.reset(seeded())[:, 3:], told)
    assert env.obs_dim == 5


# -- what is refused -------------------------------------------------------------------


class Odd(Point):
    """Makes what a test gives it."""

    made: ClassVar[VectorEnv[Any, Any, Any]]

    def make(self, worlds: int) -> Any:
        return self.made


def pointed(**changes: Any) -> PointVector:
    made = PointVector(2)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"single_action_space": Discrete(3)}, r"actions .* Box of 2 .*Discrete\(3\)"),
        (
            {"single_observation_space": Discrete(4)},
            "observations .* Box of 3",
        ),
        ({"single_action_space": Box(-1, 1, (4,))}, "Box of 2 numbers"),
        ({"single_action_space": Box(-np.inf, 1, (2,))}, "need bounds"),
        ({"num_envs": 3}, "made 3 worlds, not 2"),
        ({"metadata": {}}, "one of NEXT_STEP, SAME_STEP, DISABLED, got None"),
    ],
)
def test_what_no_policy_can_act_in_is_refused(
    changes: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Odd, "made", pointed(**changes), raising=False)
    with pytest.raises(ValueError, match=words):
        make_env(Odd(), worlds=2)


def test_a_single_environment_is_no_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Odd, "made", gymnasium.make("Pendulum-v1"), raising=False)
    with pytest.raises(ValueError, match=r"made a TimeLimit, .*SyncVectorEnv\("):
        make_env(Odd(), worlds=2)


def test_an_episodes_last_observation_is_not_lost_silently() -> None:
    class Forgetful(Walks):
        """Says SAME_STEP, and keeps the last observation for itself."""

        def make(self, worlds: int) -> SyncVectorEnv:
            envs = super().make(worlds)
            envs.metadata["autoreset_mode"] = AutoresetMode.SAME_STEP
            return envs

    env = walks(Forgetful, (1, 1))
    env.reset(seeded())
    with pytest.raises(ValueError, match=r"without info\['final_obs'\]"):
        env.step(torch.zeros(2, 1))


class Careless(ExternalFamily):
    """Forgot what it observes and how tasks are set."""

    horizon = 1
    action_dim = 1
    parameters = Point.parameters

    def make(self, worlds: int) -> Any: ...


class Open(Point):
    parameters = (Scalar(name="x", unit="m", low=0.0, high=1.0, hidden=False),)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere:Point", "cannot be imported: No module named 'nowhere'"),
        (f"{__name__}:Nobody", "cannot be imported: .* no attribute 'Nobody'"),
        (f"{__name__}:PointVector", "no subclass of tasks.family.Family, nor"),
        (f"{__name__}:Careless", "lacks set_tasks"),
        (f"{__name__}:Open", "has no hidden parameter"),
        ("tasks.external:ExternalFamily", "lacks make, set_tasks"),
        (":", "cannot be imported"),
    ],
)
def test_what_is_no_family_is_refused(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        find_family(name)


def test_a_module_that_ends_the_process_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "quits.py").write_text("raise SystemExit(0)\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(ValueError, match="cannot be imported: it ends the process"):
        find_family("quits:Mine")


def test_observations_of_another_shape_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One number a world would be laid into all three places of it."""
    monkeypatch.setattr(PointVector, "_obs", lambda self: self.place[:, :1])
    env = make_env(Point(), worlds=2)
    env.assign(Point().sample("train", 0, 2))
    said = r"observations have shape \(2, 3\), as the .* says, got \(2, 1\)"
    with pytest.raises(ValueError, match=said):
        env.reset(seeded())


def test_a_family_that_states_too_little_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(Point, "obs_dim")
    with pytest.raises(ValueError, match="does not state obs_dim"):
        find_family(Point.name)


def test_a_family_is_found_under_its_own_name_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert isinstance(find_family(Point.name), Point)
    monkeypatch.setattr(Point, "name", "point")
    with pytest.raises(ValueError, match="under its own name: point"):
        find_family(f"{__name__}:Point")


def test_what_needs_a_model_says_that_it_needs_a_family_of_pliants_own() -> None:
    with pytest.raises(ValueError, match=r"one of Pliant's own: .*strike"):
        make_family(Point.name)
    with pytest.raises(ValueError, match=r"a GPU needs a family of Pliant's own"):
        find_family(Point.name, "cuda")
    for name in FAMILIES:
        assert make_family(name).name == name


# -- it is learned on ------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Trained for some seconds each."""
    folder = tmp_path_factory.mktemp("runs")
    for method in ("maml", "dr", "oracle"):
        train(config(method), folder / method)
    return {method: folder / method for method in ("maml", "dr", "oracle")}


@pytest.mark.slow
def test_a_policy_adapts_and_is_measured_beside_its_baselines(
    runs: dict[str, Path],
) -> None:
    maml, dr, oracle = (
        load_trained(str(path), named=Trusted([Point.name])) for path in runs.values()
    )
    cfg = EvaluationCfg(tasks=30, episodes=(0, 5), measure_episodes=2)
    result = evaluate([maml], cfg, floor=[dr], oracle=[oracle])
    before, after = result.curve
    # exp(-distance) from the middle of the square to a goal in it is 0.47 on average
    assert before.returns.value < 5.2
    assert after.returns.low > before.returns.high
    assert result.baselines["oracle"].returns.low > result.baselines["dr"].returns.high
    assert after.normalised.value > 0.3
    assert after.success.value > before.success.value
    assert result.faults == 0
    assert [(leak.parameter, leak.significant) for leak in result.leaks] == [
        ("x", False),
        ("y", False),
    ]


@pytest.mark.slow
def test_the_command_evaluates_and_refuses_what_needs_a_model(
    runs: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    maml, dr, oracle = (str(path) for path in runs.values())
    options = [
        "--family",
        Point.name,
        "--tasks",
        "4",
        "--episodes",
        "0,1",
        "--report",
        str(tmp_path / "report"),
    ]
    assert main(["evaluate", maml, "--beside", dr, oracle, *options]) == 0
    assert Point.name in (tmp_path / "report/report.md").read_text()
    mine = ["--family", Point.name]
    for command, words in (
        (
            ["evaluate", maml, "--beside", dr, oracle, "--change", "step", *mine],
            "Pliant's own: carry, cheet",
        ),
        (["evaluate", maml, "--change", "step", *mine], "Pliant's own: carry, cheet"),
        (["record", maml, *mine], "is not drawn: its vector environment needs"),
    ):
        capsys.readouterr()
        assert main(command) == 2
        error = capsys.readouterr().err.splitlines()
        assert len(error) == 1
        assert words in error[0]


@pytest.mark.slow
def test_it_is_evaluated_beside_whatever_baselines_there_are(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Random and fine-tuning are always there; what is missing is named."""
    maml, dr, _ = (str(path) for path in runs.values())
    report = tmp_path / "report"
    options = ["--tasks", "2", "--episodes", "0,2", "--threads", "1"]
    options += ["--family", Point.name]
    out = ["--json", str(tmp_path / "e.json"), "--report", str(report)]
    assert main(["evaluate", maml, *options, *out]) == 0
    found = json.loads((tmp_path / "e.json").read_text())
    assert set(found["baselines"]) == {"random"}
    assert set(found["rivals"]) == {"finetune", "scratch"}
    assert found["admission"]["value"] is None
    assert found["curve"][1]["normalised"] is None
    text = (report / "report.md").read_text()
    missing = "missing: DR with memory and oracle, and so the share of the gap; "
    assert f"{missing}pliant train {Point.name} --method dr-memory" in text
    assert "not adapted, fine-tuned, 2 episodes" in text
    assert "90 % of the gap: unknown" in text
    assert main(["evaluate", maml, "--beside", dr, *options, *out]) == 0
    found = json.loads((tmp_path / "e.json").read_text())
    assert set(found["baselines"]) == {"random", "dr"}
    assert set(found["rivals"]) == {"dr-finetune", "scratch"}
    capsys.readouterr()


def test_it_is_listed_with_its_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--family", Point.name]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{Point.name}: Goals anywhere in a square.")
    assert "x [m]: -1 to 1" in shown
    assert "shipped" not in shown
    assert main(["list", "--family", Point.name, "--json"]) == 0
    [family] = json.loads(capsys.readouterr().out)["families"]
    assert family["group"] == "external"
    assert main(["list", "--family", Point.name, "--pictures", "x.png"]) == 2
    assert "needs one of Pliant's own" in capsys.readouterr().err


def leaks(family: type[ExternalFamily]) -> list[Leak]:
    return probe_family(find_family(family.name), "held-out", 0)


def test_a_hidden_parameter_in_the_first_observation_is_found() -> None:
    assert not any(leak.significant for leak in leaks(Point))
    assert all(leak.significant for leak in leaks(Telling))


class Telling(Point):
    """Starts at its goal."""

    def make(self, worlds: int) -> PointVector:
        class Told(PointVector):
            def _obs(self) -> np.ndarray:
                return np.concatenate([self.goals, self.time[:, None]], axis=1)

        return Told(worlds)


class Few(Point):
    """A benchmark of twelve tasks, each of which begins in one way only."""

    def sample(self, split: str, seed: int, count: int) -> list[Any]:
        drawn = super().sample(split, 0, 12)
        return [drawn[i % 12] for i in range(count)]

    def make(self, worlds: int) -> PointVector:
        class Fixed(PointVector):
            def _obs(self) -> np.ndarray:
                # of a task, and yet nothing to do with its goal
                noise = np.sin(1e4 * self.goals.sum(1, keepdims=True) * [1, 2, 3])
                return np.where(self.time[:, None], super()._obs(), noise)

        return Fixed(worlds)


def test_a_task_that_is_drawn_again_is_no_evidence_of_a_leak() -> None:
    assert not any(leak.significant for leak in leaks(Few))


@pytest.mark.parametrize("method", ["rma", "dr-sb3"])
def test_other_methods_train_on_it_too(method: str) -> None:
    cfg = replace(config(method), tasks=2)
    trainer = make_training(cfg)
    metrics = trainer.step()
    assert metrics["faults"] == 0
    assert metrics["env_steps"] == 2 * 5 * 3 * Point.horizon


def test_same_seed_same_numbers() -> None:
    cfg = replace(config(), tasks=3, learner=MamlCfg())
    one, other = make_trainer(cfg), make_trainer(cfg)
    assert [one.step() for _ in range(2)] == [other.step() for _ in range(2)]


@pytest.mark.slow
def test_the_command_finds_a_family_in_the_working_directory(tmp_path: Path) -> None:
    """And what it trained there is found again there, but nowhere else."""
    (tmp_path / "mine.py").write_text(Path(__file__).read_text())
    code = "import sys; from pliant.cli.main import main; sys.exit(main(sys.argv[1:]))"
    # as the installed command, which does not look in the working directory
    python = [sys.executable, "-P", "-c", code]
    options = [
        "--iterations",
        "1",
        "--tasks",
        "2",
        "--hidden",
        "4",
        "--threads",
        "1",
        "--out",
        "run",
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*python, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    done = call("train", "mine:Point", *options)
    assert done.returncode == 0, done.stderr
    assert "pliant evaluate run --family mine:Point\n" in done.stdout
    again = call(
        "evaluate", "run", "--family", "mine:Point", "--tasks", "2", "--episodes", "0,1"
    )
    assert "pliant train mine:Point --method dr" in " ".join(again.stdout.split())
    with pytest.raises(ValueError, match="'mine:Point' cannot be imported"):
        load_trained(str(tmp_path / "run"), named=Trusted(["mine:Point"]))
