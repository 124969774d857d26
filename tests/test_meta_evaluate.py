"""The evaluator reads what was planted: success rates, adaptation, faults."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from rich.console import Console
from torch import Tensor

from meta import measure
from meta.checkpoint import Trained
from meta.configs import Method, make_config
from meta.evaluate import evaluate
from meta.maml import Maml, MamlCfg
from meta.report import plot, print_table
from meta.rollout import Act, Experience
from meta.theta import Params, Theta
from meta.train import make_trainer
from policies.gaussian import Gaussian
from tasks.env import Env, Step
from tasks.task import Task

FAMILY = "reach-rotated"
HORIZON = 8


class PlantedEnv(Env):
    """Episodes that succeed with the probability that the action states, early."""

    def __init__(self, worlds: int) -> None:
        self.worlds, self.horizon, self.action_dim = worlds, HORIZON, 2

    def assign(self, tasks: Sequence[Task]) -> None:
        assert len(tasks) == self.worlds

    def reset(self, rng: torch.Generator, worlds: Tensor | None = None) -> Tensor:
        self.luck = torch.rand(self.worlds, generator=rng)
        self.time = 0
        return torch.zeros(self.worlds, 1)

    def step(self, action: Tensor) -> Step:
        self.time += 1
        success = self.luck < action[:, 0]
        # a success ends its episode at once, a failure takes the whole horizon
        return Step(
            obs=torch.zeros(self.worlds, 1),
            reward=success.float(),
            terminated=success,
            truncated=torch.full((self.worlds,), self.time >= self.horizon),
            fault=self.luck > 0.98,
            success=success,
            terms={},
        )


class Planted(Maml):
    """A learner whose success probability grows by `gain` an episode adapted on."""

    def __init__(self, p: float, gain: float = 0.0) -> None:
        self.cfg = MamlCfg(inner_steps=1)
        self.p, self.gain = p, gain

    def begin(self, theta: Theta, tasks: int) -> Params:
        return {"p": torch.full((tasks,), self.p)}

    def adapt(self, theta: Theta, adaptation: Params, experience: Experience) -> Params:
        episodes = (experience.valid.sum(-1) > 0).float().sum(-1)
        return {"p": adaptation["p"] + self.gain * episodes}

    def act(self, theta: Theta, adaptation: Params) -> Act:
        def act(obs: Tensor) -> Gaussian:
            p = adaptation["p"].repeat_interleave(len(obs) // len(adaptation["p"]))
            mean = torch.stack([p, p], dim=-1)
            return Gaussian(mean, torch.full((2,), -20.0))

        return act


def planted(p: float, method: Method = "maml", *, gain: float = 0.0) -> Trained:
    return Trained(
        cfg=make_config(FAMILY, method),
        learner=Planted(p, gain),
        theta={},
        iteration=0,
        env_steps=0,
        source=f"planted {p}",
    )


@pytest.fixture
def planted_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(
        self: measure.Bench, trained: Trained | None, part: Sequence[Task], each: int
    ) -> Env:
        env = PlantedEnv(len(part) * each)
        env.assign([task for task in part for _ in range(each)])
        return env

    monkeypatch.setattr(measure.Bench, "_env", make)


BASELINES = {"dr": [planted(0.0, "dr")], "oracle": [planted(1.0, "oracle")]}


@pytest.mark.usefixtures("planted_worlds")
@pytest.mark.parametrize("p", [0.1, 0.25, 0.5])
def test_planted_success_is_read_as_it_is(p: float) -> None:
    result = evaluate(
        [planted(p)],
        **BASELINES,
        split="held-out",
        tasks=400,
        episodes=(0, 5),
        seed=1,
        measure_episodes=3,
    )
    for point in result.curve:
        assert point.success.low <= p <= point.success.high
        assert point.success.high - point.success.low < 0.1
        assert point.normalised.value == pytest.approx(p, abs=0.05)


@pytest.mark.usefixtures("planted_worlds")
def test_known_adaptation_gives_the_known_curve() -> None:
    ks = (0, 1, 2, 5)
    result = evaluate(
        [planted(0.1, gain=0.1), planted(0.1, gain=0.1)],
        **BASELINES,
        split="held-out",
        tasks=500,
        episodes=ks,
    )
    for k, point in zip(ks, result.curve, strict=True):
        assert point.success.value == pytest.approx(0.1 + 0.1 * k, abs=0.03)
    assert result.curve[0].harm_rate == 0
    # the same initial states for every k: what gets likelier cannot get worse
    assert result.curve[-1].harm_rate == 0
    assert result.episodes_to_90 is None


@pytest.mark.usefixtures("planted_worlds")
def test_harm_is_seen_and_faults_are_counted_not_dropped() -> None:
    result = evaluate(
        [planted(0.9, gain=-0.1)],
        **BASELINES,
        split="held-out",
        tasks=300,
        episodes=(5,),
        measure_episodes=2,
    )
    (point,) = result.curve
    assert point.success.value == pytest.approx(0.4, abs=0.05)
    # worse wherever one of two episodes lies between 0.4 and 0.9
    assert point.harm_rate == pytest.approx(1 - 0.5**2, abs=0.08)
    assert result.ledger.faults > 0
    # adapting: 5 episodes; measuring: k = 0 and 5, DR, oracle, random, 2 each
    assert result.ledger.adapt == 300 * 5 * HORIZON
    assert result.ledger.measure == 300 * 5 * 2 * HORIZON


def tiny(method: Method, seed: int = 0) -> Trained:
    cfg = make_config(FAMILY, method)
    cfg = replace(cfg, seed=seed, tasks=2, iterations=1, threads=1)
    trainer = make_trainer(cfg)
    return Trained(
        cfg=cfg,
        learner=trainer.learner,
        theta=trainer.theta,
        iteration=0,
        env_steps=0,
        source=f"{method} {seed}",
    )


def run(**changes: object):
    settings = {
        "dr": [tiny("dr")],
        "oracle": [tiny("oracle")],
        "split": "held-out",
        "tasks": 3,
        "episodes": (0, 2),
        "measure_episodes": 2,
        "threads": 1,
    }
    policies = changes.pop("policies", [tiny("maml"), tiny("maml", 1)])
    return evaluate(policies, **(settings | changes))  # pyright: ignore


def test_the_same_seed_gives_the_same_json_and_it_says_everything(tmp_path) -> None:
    first, second = run(), run()
    assert first.to_json() == second.to_json()
    content = json.loads(first.to_json())
    for key in ("family", "split", "seed", "tasks", "curve", "baselines", "normalised"):
        assert key in content
    for key in ("harm_rate", "env_steps", "versions", "admission", "worst_decile"):
        assert key in content
    assert set(content["baselines"]) == {"random", "dr", "oracle"}
    point = content["curve"][0]
    assert {"episodes", "return", "return_low", "success_high"} <= set(point)
    plot(first, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 10_000
    console = Console(width=150, record=True)
    print_table(first, console)
    text = console.export_text()
    assert all(name in text for name in ("random", "DR", "oracle", "not adapted"))


def test_the_curve_extends_the_same_first_episodes() -> None:
    # whether 4 is asked for too changes nothing for 2
    alone, more = run(episodes=(2, 3)), run(episodes=(0, 2, 3))
    assert alone.curve[0].returns.value == more.curve[1].returns.value


def test_parts_do_not_change_which_tasks_are_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measure, "MAX_WORLDS", 4)
    result = run(tasks=5)
    assert result.tasks == 5
    assert result.ledger.measure == 5 * 2 * 25 * (2 * 2 + 1 + 1 + 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"episodes": (0, -1)}, "numbers >= 0, got 0, -1"),
        ({"episodes": ()}, "got none"),
        ({"tasks": 0}, "at least 1, got 0"),
        ({"split": "unseen-shapes"}, "has no split 'unseen-shapes'"),
        ({"split": "heldout"}, "splits: train, held-out"),
        ({"dr": [tiny("maml")]}, "not as the dr baseline"),
        ({"dr": []}, "at least one policy"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(changes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        run(**changes)


def test_policies_of_another_family_are_refused() -> None:
    other = tiny("dr")
    other = replace(other, cfg=make_config("cheetah-direction", "dr"))
    with pytest.raises(ValueError, match="different families"):
        run(dr=[other])
