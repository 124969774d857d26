"""The lie test finds what a lie was planted to cost, and what costs nothing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.lie import Lie, Lies, lie_test
from meta.evaluation.measure import Bench, Ledger
from meta.evaluation.statistics import Estimate
from meta.learners.maml import Maml
from meta.learners.maml_cfg import MamlCfg
from meta.recipes.registry import make_config
from meta.theta import Params, Theta
from meta.training.trained import Trained, load_trained
from pliant.views.lie_table import _verdict
from policies.acting import Act, RecurrentPolicy, Transition
from policies.gaussian import Gaussian
from tasks.external import ExternalFamily
from tasks.parameters import Choice, Scalar, Value
from tasks.registry import FAMILIES
from tasks.task import Task

# -- a toy: one guess at a number and a side; nothing else matters ---------------------


class GuessVector(VectorEnv[Any, Any, Any]):
    """One step; the reward is the miss, and half more on the wrong side."""

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.DISABLED}  # noqa: RUF012

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.single_observation_space = Box(-1.0, 1.0, (1,), np.float64)
        self.single_action_space = Box(-1.0, 1.0, (2,), np.float64)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.number, self.side = np.zeros(num_envs), np.zeros(num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        return np.zeros((self.num_envs, 1)), {}

    def step(self, actions: np.ndarray) -> tuple[Any, ...]:
        wrong = np.sign(actions[:, 1]) != self.side
        reward = -np.abs(actions[:, 0] - self.number) - 0.5 * wrong
        over = np.ones(self.num_envs, dtype=bool)
        return np.zeros((self.num_envs, 1)), reward, over, ~over, {}


class Guess(ExternalFamily):
    """A number and a side to guess, beside two parameters that do nothing."""

    horizon = 1
    obs_dim = 1
    action_dim = 2
    max_worlds = 400  # 40 tasks at once, and then 30
    scenery: tuple[str, ...] = ("idle",)
    parameters = (
        Scalar(name="idle", unit="1", low=-1.0, high=1.0),
        Choice(name="side", options=("left", "right")),
        Scalar(name="number", unit="1", low=-1.0, high=1.0),
        Scalar(name="fixed", unit="1", low=1.0, high=1.0),
    )

    def make(self, worlds: int) -> GuessVector:
        return GuessVector(worlds)

    def set_tasks(
        self, envs: Any, worlds: Sequence[int], tasks: Sequence[Mapping[str, Value]]
    ) -> None:
        envs.number[worlds] = [task["number"] for task in tasks]
        envs.side[worlds] = [1 if task["side"] == "right" else -1 for task in tasks]


Kind = Literal["plain", "recurrent"]


class Knowing(Maml):
    """Does what its observation says, off by a training seed's own error."""

    def __init__(self, error: float, kind: Kind) -> None:
        self.cfg = MamlCfg(inner_steps=0)
        self.error, self.kind = error, kind
        self.watched: list[Transition] = []

    def begin(self, theta: Theta, tasks: int) -> Params:
        return {"none": torch.zeros(tasks, 1)}

    def act(self, theta: Theta, adaptation: Params) -> Act:
        def plain(obs: Tensor) -> Gaussian:
            # observation, idle, left, right, number, fixed
            guess = torch.stack([obs[:, 4] + self.error, obs[:, 3] - obs[:, 2]], -1)
            return Gaussian(guess, torch.zeros_like(guess))

        if self.kind == "plain":
            return plain

        def watch(memory: Tensor, step: Transition) -> Tensor:
            self.watched.append(step)
            return memory

        return RecurrentPolicy(
            memory=torch.zeros(1, 1), policy=lambda obs, _: plain(obs), watch=watch
        )


def knowing(error: float = 0.0, kind: Kind = "plain") -> Trained:
    return Trained(
        cfg=make_config(Guess.name, "oracle"),
        learner=Knowing(error, kind),
        theta={"none": torch.zeros(1)},
        iteration=0,
        env_steps=0,
        source=f"knowing, but for {error}",
    )


def found(
    *oracle: Trained, tasks: int = 70, shuffles: int = 3, split: str = "held-out"
) -> Lies:
    cfg = EvaluationCfg(split=split, tasks=tasks, measure_episodes=2, threads=1)
    return lie_test(oracle or (knowing(),), cfg, shuffles=shuffles)


def drawn(count: int) -> list[Task]:
    return Guess().sample("held-out", 0, count)


def by_name(lies: Lies) -> dict[str, Lie]:
    return {x.parameter: x for x in lies.lies}


@pytest.mark.parametrize("kind", ["plain", "recurrent"])
def test_a_lie_costs_what_was_planted(kind: Kind) -> None:
    told = found(knowing(kind=kind))
    number = np.array([float(t.parameters["number"]) for t in drawn(70)])
    apart = np.abs(number[:, None] - number).sum() / (70 * 69)
    # from a uniform guess; and a random side is wrong half the time
    span = (1 + number**2).mean() / 2 + 0.25
    assert told.oracle.value == pytest.approx(0, abs=1e-6)
    assert told.random.value == pytest.approx(-span, abs=0.15)
    lies = by_name(told)
    assert lies["number"].returns.value == pytest.approx(-apart, abs=0.1)
    expected = lies["number"].returns.value / told.random.value
    assert lies["number"].loss.value == pytest.approx(expected)
    # a side that is told another side is always the wrong one
    assert lies["side"].returns.value == pytest.approx(-0.5, abs=1e-6)
    for name in ("idle", "fixed"):
        assert abs(lies[name].loss.value) < 1e-6
    verdicts = {name: (x.matters, x.varies, x.scenery) for name, x in lies.items()}
    assert verdicts == {
        "idle": (False, True, True),
        "number": (True, True, False),
        "side": (True, True, False),
        "fixed": (False, False, False),
    }
    assert told.contradicted == []
    assert told.objects == 0


def test_no_task_is_told_its_own_value() -> None:
    truth = found(tasks=6, shuffles=40)
    scores = truth.scores
    # each of six tasks, over 40 lies: any own value would bring the side's loss down
    assert scores["side"] == pytest.approx(np.full((1, 6), -0.5), abs=1e-6)
    assert (scores["number"] < -1e-3).all()


def test_what_a_memory_is_shown_is_the_lie_as_well() -> None:
    oracle = knowing(kind="recurrent")
    found(oracle, tasks=4, shuffles=1)
    learner = oracle.learner
    assert isinstance(learner, Knowing)
    for step in learner.watched:
        assert torch.equal(step.obs[:, 1:], step.next_obs[:, 1:])
    seen = [step.obs[::2, 4].tolist() for step in learner.watched]
    truth, _, _, lied = seen
    assert truth[0] not in lied[:1]
    assert set(lied) <= set(truth)


def test_seeds_of_an_oracle_are_compared_with_themselves() -> None:
    """Seeds that differ widely, and lose the same, leave the loss certain."""
    lies = by_name(found(*(knowing(error) for error in (0.0, 0.1, 0.3))))
    # what is left is the range's: some 0.2 of 0.9
    assert lies["idle"].loss.high - lies["idle"].loss.low < 1e-6


def test_marks_that_the_measure_contradicts_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Guess, "scenery", ("number",))
    assert [x.parameter for x in found().contradicted] == ["idle", "number"]
    # marks are about held-out tasks
    assert found(split="train").contradicted == []


@pytest.mark.parametrize(
    ("low", "high", "scenery", "contradicts", "verdict"),
    [
        (0.031, 0.2, True, True, "matters"),
        (0.01, 0.2, True, False, "undecided"),
        (0.01, 0.2, False, False, "undecided"),
        (-0.02, 0.02, False, True, "scenery"),
    ],
)
def test_a_mark_is_wrong_only_beyond_the_interval(
    low: float, high: float, scenery: bool, contradicts: bool, verdict: str
) -> None:
    middle = Estimate(value=(low + high) / 2, low=low, high=high)
    lie = Lie(parameter="x", loss=middle, returns=middle, varies=True, scenery=scenery)
    assert lie.contradicts is contradicts
    assert _verdict(lie) == verdict
    assert not replace(lie, varies=False, scenery=False).contradicts


def test_json_holds_everything() -> None:
    told = found(tasks=4, shuffles=1)
    kept = json.loads(told.to_json())
    assert kept["family"] == Guess.name
    assert kept["oracle"]["value"] == told.oracle.value
    assert [x["parameter"] for x in kept["lies"]] == ["idle", "side", "number", "fixed"]
    assert [x["matters"] for x in kept["lies"]] == [False, True, True, False]
    assert kept["lies"][2]["loss"]["low"] == told.lies[2].loss.low
    assert np.array(kept["scores"]["number"]).shape == (1, 4)
    assert kept["policies"]["oracle"][0]["source"] == "knowing, but for 0.0"
    assert kept["task_hashes"] == list(told.task_hashes)


def test_what_cannot_be_lied_to_is_refused() -> None:
    cfg = EvaluationCfg(tasks=2)
    cases: list[tuple[list[Trained], int, str]] = [
        ([], 1, "need at least one oracle to lie to, got none"),
        ([knowing()], 0, "lies are dealt out at least once, got 0 shuffles"),
        (
            [load_trained("shipped:insert-dr")],
            1,
            "shipped:insert-dr was trained with method 'dr', which does not observe",
        ),
        (
            [knowing(), load_trained("shipped:insert-oracle")],
            1,
            "oracles are of different families: insert, ",
        ),
    ]
    for oracle, shuffles, message in cases:
        with pytest.raises(ValueError, match=message):
            lie_test(oracle, cfg, shuffles=shuffles)


# -- the shipped oracles ---------------------------------------------------------------


def test_the_truth_is_what_an_evaluation_measures() -> None:
    """And `insert`'s marks are right: its oracle needs the offsets and nothing else."""
    oracle = load_trained("shipped:insert-oracle")
    cfg = EvaluationCfg(tasks=24, measure_episodes=1, threads=2)
    told = lie_test([oracle], cfg, shuffles=1)
    family = FAMILIES["insert"]()
    bench = Bench(family.sample("held-out", 0, 24), cfg)
    [(_, returns, *_)] = bench.curve(oracle, (0,), Ledger())
    assert told.scores["oracle"][0] == pytest.approx(returns.numpy(), abs=1e-5)
    verdicts = {x.parameter: x.matters for x in told.lies}
    assert verdicts == {p.name: p.name.startswith("offset") for p in family.hidden}
    assert told.contradicted == []


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_called_scenery_is_hidden(name: str) -> None:
    family = FAMILIES[name]
    assert set(family.scenery) < {p.name for p in family.parameters if p.hidden}
