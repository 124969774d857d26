"""The evaluator reads what was planted: success rates, adaptation, faults."""

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor

from meta.evaluation import evaluate as evaluation
from meta.evaluation.estimates import Drawn, _level
from meta.evaluation.evaluate import Evaluation, evaluate
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.measure import Bench, Measured
from meta.evaluation.statistics import Estimate
from meta.experience.rollout import Experience
from meta.learners.maml import Maml
from meta.learners.maml_cfg import MamlCfg
from meta.recipes.registry import make_config
from meta.theta import Params, Theta
from meta.training.build import make_trainer
from meta.training.trained import Trained
from pliant.views.cautions import cautions
from pliant.views.markdown import number
from pliant.views.report import plot, print_table, write_report
from policies.acting import Act
from policies.gaussian import Gaussian
from tasks.contract import Step
from tasks.env import Env
from tasks.locomotion.cheetah_direction import CheetahDirection
from tasks.registry import FAMILIES, make_family
from tasks.task import Task

pytestmark = pytest.mark.usefixtures("few_tuning_tasks")

FAMILY = "cheetah-direction"
HORIZON = 8


class PlantedEnv(Env):
    """Episodes that succeed with the probability that the action states, early."""

    starts: list[Tensor]
    """The luck of every batch of episodes, in order."""
    sick: float
    """Luck above which an episode ends by a fault."""

    def __init__(self, worlds: int) -> None:
        self.family = make_family(FAMILY)
        self.worlds, self.horizon, self.oracle, self.tasks = worlds, HORIZON, False, ()
        self.obs_dim, self.action_dim, self.device = 1, 2, torch.device("cpu")

    def reset(self, rng: torch.Generator, worlds: Tensor | None = None) -> Tensor:
        self.luck = torch.rand(self.worlds, generator=rng)
        self.starts.append(self.luck)
        self.time = 0
        return torch.zeros(self.worlds, 1)

    def step(self, action: Tensor) -> Step:
        self.time += 1
        fault = self.luck > self.sick
        success = (self.luck < action[:, 0]) & ~fault
        # a success ends its episode at once, a failure takes the whole horizon
        return Step(
            obs=torch.zeros(self.worlds, 1),
            reward=success.float(),
            terminated=success | fault,
            truncated=torch.full((self.worlds,), self.time >= self.horizon),
            fault=fault,
            success=success,
            terms={},
        )


class Planted(Maml):
    """A learner whose success probability grows by `gain` an episode adapted on."""

    def __init__(self, p: float, gain: float, std: float, steps: int) -> None:
        self.cfg = MamlCfg(inner_steps=steps)
        self.p, self.gain, self.std = p, gain, std
        self.adapted_on: list[Experience] = []

    def begin(self, theta: Theta, tasks: int) -> Params:
        return {"p": torch.full((tasks,), self.p)}

    def adapt(self, theta: Theta, adaptation: Params, experience: Experience) -> Params:
        self.adapted_on.append(experience)
        episodes = (experience.valid.sum(-1) > 0).float().sum(-1)
        return {"p": adaptation["p"] + self.gain * episodes}

    def act(self, theta: Theta, adaptation: Params) -> Act:
        def act(obs: Tensor) -> Gaussian:
            p = adaptation["p"].repeat_interleave(len(obs) // len(adaptation["p"]))
            mean = torch.stack([p, p], dim=-1)
            return Gaussian(mean, torch.full((2,), self.std).log())

        return act


def planted(
    p: float,
    method: str = "maml",
    *,
    gain: float = 0.0,
    std: float = 1e-9,
    steps: int = 1,
) -> Trained:
    return Trained(
        cfg=make_config(FAMILY, method),
        learner=Planted(p, gain, std, steps),
        theta={},
        iteration=0,
        env_steps=0,
        source=f"planted {p}",
    )


@pytest.fixture
def planted_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(
        self: Bench, trained: Trained | None, part: Sequence[Task], each: int
    ) -> Env:
        return PlantedEnv(len(part) * each)

    def tuned(*_: object) -> tuple[list[Trained], list[Trained]]:
        return [planted(0.0, "dr", gain=0.05)], [planted(0.0, "dr", gain=0.01)]

    monkeypatch.setattr(evaluation, "tuned", tuned)
    monkeypatch.setattr(Bench, "_env", make)
    monkeypatch.setattr(PlantedEnv, "starts", [], raising=False)
    monkeypatch.setattr(PlantedEnv, "sick", 2.0, raising=False)


def evaluated(policies: Sequence[Trained], **settings: Any) -> Evaluation:
    """Evaluate; `settings` are those of the evaluation, and the groups of policies."""
    names = {f.name for f in fields(EvaluationCfg)}
    cfg = EvaluationCfg(**{k: v for k, v in settings.items() if k in names})
    groups = {k: v for k, v in settings.items() if k not in names}
    return evaluate(policies, cfg, **groups)


def measured(*policies: Trained, **changes: object) -> Evaluation:
    settings = {
        "floor": [planted(0.0, "dr")],
        "oracle": [planted(1.0, "oracle")],
        "split": "held-out",
        "tasks": 300,
    }
    return evaluated(policies, **(settings | changes))


# -- planted truth -------------------------------------------------------------------


@pytest.mark.usefixtures("planted_worlds")
@pytest.mark.parametrize("p", [0.1, 0.25, 0.5])
def test_planted_success_is_read_as_it_is(p: float) -> None:
    # exploring that is far off the mean is no part of what is measured
    policy = planted(p, std=10.0)
    result = measured(policy, tasks=400, episodes=(0, 5), seed=2, measure_episodes=3)
    for point in result.curve:
        assert point.success.low <= p <= point.success.high
        assert 0.02 < point.success.high - point.success.low < 0.1
        assert point.normalised.value == pytest.approx(p, abs=0.05)
        assert point.normalised.low <= p <= point.normalised.high
    for name, success in (("dr", 0.0), ("oracle", 1.0)):
        assert result.baselines[name].success.value == success
    # uniform in [-1, 1] anew in each of 8 steps: all stay below luck u, with
    # probability ((1 + u) / 2) ** 8
    chance = 1 - (1 - 0.5**9) * 2 / 9
    assert result.baselines["random"].success.value == pytest.approx(chance, abs=0.04)


@pytest.mark.usefixtures("planted_worlds")
def test_known_adaptation_gives_the_known_curve() -> None:
    ks = (0, 1, 2, 5)
    policies = [planted(0.1, gain=0.1), planted(0.1, gain=0.1)]
    result = measured(*policies, tasks=500, episodes=ks)
    for k, point in zip(ks, result.curve, strict=True):
        assert point.episodes == k
        assert point.success.value == pytest.approx(0.1 + 0.1 * k, abs=0.03)
        # the same initial states for every k: what gets likelier cannot get worse
        assert point.harm_rate.value == 0
    assert result.episodes_to_90 is None
    better = measured(planted(0.1, gain=0.43), episodes=(1, 2, 5), tasks=100)
    assert better.episodes_to_90 == 2


@pytest.mark.usefixtures("planted_worlds")
def test_the_curve_is_in_order_of_episodes() -> None:
    result = measured(planted(0.1, gain=0.1), episodes=(5, 0, 1), tasks=20)
    assert [p.episodes for p in result.curve] == [0, 1, 5]


@pytest.mark.usefixtures("planted_worlds")
def test_harm_is_seen_even_if_no_adaptation_was_not_asked_for() -> None:
    result = measured(planted(0.9, gain=-0.1), episodes=(5,), measure_episodes=2)
    (point,) = result.curve
    assert point.success.value == pytest.approx(0.4, abs=0.05)
    # worse wherever one of two episodes lies between 0.4 and 0.9
    harm = point.harm_rate
    assert harm.value == pytest.approx(1 - 0.5**2, abs=0.08)
    assert harm.low < harm.value < harm.high
    assert point.worst_decile == 0
    # adapting: 5 episodes; measuring: k = 0 and 5, 2 each
    own = result.ledgers["policy"]
    assert (own.adapt_episodes, own.measure_episodes) == (300 * 5, 300 * 2 * 2)
    assert (own.adapt, own.measure) == (300 * 5 * HORIZON, 300 * 2 * 2 * HORIZON)
    assert result.ledgers["dr-finetune"] == own
    for name in ("random", "dr", "oracle"):
        spent = result.ledgers[name]
        assert (spent.adapt, spent.measure) == (0, 300 * 2 * HORIZON)


@pytest.mark.usefixtures("planted_worlds")
def test_shares_are_measured_from_the_robust_baseline_with_memory() -> None:
    result = measured(
        planted(0.8),
        floor=[planted(0.6, "dr-memory", steps=0)],
        rivals=[planted(0.2, "dr", steps=0)],
        episodes=(0, 1),
    )
    assert list(result.baselines) == ["random", "dr-memory", "oracle"]
    # it does not adapt, so that its curve is flat
    assert len({p.returns.value for p in result.rivals["dr"]}) == 1
    assert set(result.rivals) == {"dr", "dr-memory-finetune", "scratch"}
    for point in result.curve:
        assert point.normalised.value == pytest.approx(0.5, abs=0.1)
    with pytest.raises(ValueError, match="'dr', not as the dr-memory baseline"):
        measured(planted(0.8), floor=[planted(0.6, "dr-memory"), planted(0.2, "dr")])


@pytest.mark.usefixtures("planted_worlds")
def test_seeds_are_pooled() -> None:
    result = measured(planted(0.2), planted(0.6), planted(0.4), episodes=(0,))
    [point] = result.curve
    assert point.success.value == pytest.approx(0.4, abs=0.03)
    assert len(result.policies["policy"]) == 3
    # one of two seeds is harmed, everywhere: half of all (seed, task)
    policies = [planted(1.0, gain=-1.0), planted(0.0, gain=1.0)]
    [point] = measured(*policies, episodes=(1,)).curve
    assert point.harm_rate.value == 0.5
    assert point.returns.value == pytest.approx(0.5)
    # 60 of 600 returns: all of the harmed
    assert point.worst_decile == 0
    assert point.iqm.value == pytest.approx(0.5)


@pytest.mark.usefixtures("planted_worlds")
def test_a_faulted_episode_counts_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlantedEnv, "sick", 0.9)
    result = measured(planted(1.0), episodes=(3,), measure_episodes=4, tasks=150)
    luck = torch.cat(PlantedEnv.starts)
    assert result.faults == int((luck > 0.9).sum()) > 0
    # one in ten fails although all others succeed
    healthy = (PlantedEnv.starts[-1] <= 0.9).float().mean().item()
    assert 0.85 < healthy < 0.95
    assert result.curve[0].success.value == pytest.approx(healthy)
    assert result.baselines["oracle"].success.value == pytest.approx(healthy)
    assert json.loads(result.to_json())["faults"] == result.faults


# -- the protocol --------------------------------------------------------------------


@pytest.mark.usefixtures("planted_worlds")
def test_all_methods_and_all_k_are_measured_from_the_same_states() -> None:
    measured(planted(0.2), planted(0.3), episodes=(0, 7), measure_episodes=5, tasks=20)
    adapting = [x for x in PlantedEnv.starts if len(x) == 20 * 7]
    measuring = [x for x in PlantedEnv.starts if len(x) == 20 * 5]
    # two seeds, fine-tuning, from scratch
    assert len(adapting) == 2 + 2
    # these at two k, random, DR, oracle
    assert len(measuring) == 4 * 2 + 3
    assert all(x.equal(measuring[0]) for x in measuring)
    assert not torch.isin(adapting[0], measuring[0]).any()


@pytest.mark.usefixtures("planted_worlds")
def test_each_k_has_the_first_episodes_of_one_collection() -> None:
    policy = planted(0.5, std=0.3)
    result = measured(policy, episodes=(1, 2, 5), tasks=20)
    learner = policy.learner
    assert isinstance(learner, Planted)
    *fewer, most = learner.adapted_on
    assert result.ledgers["policy"].adapt == 20 * 5 * HORIZON
    for k, e in zip((1, 2), fewer, strict=True):
        assert e.action.equal(most.action)
        assert e.valid[:, :k].equal(most.valid[:, :k])
        assert not e.valid[:, k:].any()
    assert (most.valid.sum(-1) > 0).all()
    # experience is gathered by sampling
    assert (most.action - 0.5).std().item() == pytest.approx(0.3, abs=0.02)


@pytest.mark.usefixtures("planted_worlds")
def test_inner_steps_are_taken_in_turn_and_played_by_what_the_last_left() -> None:
    policy = planted(0.2, gain=0.1, steps=2)
    result = measured(policy, episodes=(0, 1, 2, 5), tasks=20)
    learner = policy.learner
    assert isinstance(learner, Planted)
    shapes = [tuple(e.valid.shape[:2]) for e in learner.adapted_on]
    # of one episode, of two, and of five, of which the second step has the larger share
    assert shapes == [(20, 1), (20, 1), (20, 1), (20, 2), (20, 3)]
    acted = [round(e.action[..., 0].mean().item(), 6) for e in learner.adapted_on]
    assert acted == [0.2, 0.2, 0.3, 0.2, 0.4]
    assert result.ledgers["policy"].adapt_episodes == 20 * (1 + 2 + 5)
    during = result.scores["policy"][5].during
    assert during is not None
    assert during.mean() == pytest.approx((2 * 0.2 + 3 * 0.4) / 5, abs=0.08)


@pytest.mark.usefixtures("planted_worlds")
def test_a_policy_without_inner_steps_is_measured_as_it_is() -> None:
    policy = planted(0.5, gain=0.1, steps=0)
    first, *others = measured(policy, episodes=(0, 1, 4), tasks=50).curve
    assert all(p.success.value == first.success.value for p in others)
    (*_, last) = PlantedEnv.starts
    measuring = [x for x in PlantedEnv.starts if len(x) == len(last)]
    # once itself, not at every k; DR, oracle and random; two rivals at three k
    assert len(measuring) == 1 + 3 + 2 * 3


class Daring(Planted):
    """A planted learner that succeeds otherwise in the episodes it adapts on."""

    explored = 0.7

    def explore(self, theta: Theta, adaptation: Params) -> Act:
        return self.act(theta, {"p": torch.full_like(adaptation["p"], self.explored)})


@pytest.mark.usefixtures("planted_worlds")
def test_the_price_is_what_the_episodes_earned_that_were_adapted_on() -> None:
    daring = replace(planted(0.2), learner=Daring(0.2, 0.1, 1e-9, 1))
    result = measured(daring, tasks=400, episodes=(0, 1, 4))
    start, *points = result.curve
    assert np.isnan(start.during.value)
    assert start.cumulative.value == start.returns.value
    for p in points:
        assert p.during.value == pytest.approx(0.7, abs=0.05)
        assert p.during.low < p.during.value < p.during.high
        trial = p.episodes * p.during.value + p.returns.value
        assert p.cumulative.value == pytest.approx(trial)
    # the acting policy, not the explorer, is what is measured
    assert points[-1].success.value == pytest.approx(0.6, abs=0.05)
    row = json.loads(result.to_json())["curve"][1]
    assert row["return_during_low"] <= row["return_during"] <= row["return_during_high"]
    assert row["return_cumulative"] == points[0].cumulative.value
    none, one, _ = json.loads(result.to_json())["scores"]["policy"]
    assert none["during"] is None
    assert np.mean(one["during"]) == pytest.approx(points[0].during.value)
    # a policy that does not adapt acts in those episodes as ever
    fixed = measured(planted(0.5, steps=0), episodes=(0, 2), tasks=50).curve[-1]
    assert fixed.during.value == fixed.returns.value
    assert fixed.cumulative.value == pytest.approx(3 * fixed.returns.value)


@pytest.mark.usefixtures("planted_worlds")
def test_parts_are_measured_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FAMILIES[FAMILY], "max_worlds", 35)
    policy = planted(0.3, gain=0.1)
    result = measured(policy, tasks=500, episodes=(0, 5), measure_episodes=2)
    assert max(map(len, PlantedEnv.starts)) == 35
    assert result.ledgers["policy"].adapt == 500 * 5 * HORIZON
    assert result.ledgers["policy"].measure == 500 * 2 * 2 * HORIZON
    for point, p in zip(result.curve, (0.3, 0.8), strict=True):
        assert point.success.value == pytest.approx(p, abs=0.04)
        assert point.harm_rate.value == 0
    # every part has random numbers of its own
    first, same, second, *_ = [x for x in PlantedEnv.starts if len(x) == 7 * 2]
    assert same.equal(first)
    assert not torch.isin(second, first).any()


# -- real worlds ---------------------------------------------------------------------


@cache
def tiny(method: str, seed: int = 0, family: str = FAMILY) -> Trained:
    cfg = make_config(FAMILY, method)
    cfg = replace(cfg, family=family, seed=seed, tasks=2, iterations=1, threads=1)
    trainer = make_trainer(cfg)
    return Trained(
        cfg=cfg,
        learner=trainer.learner,
        theta=trainer.theta,
        iteration=0,
        env_steps=0,
        source=f"{method} {seed}",
    )


def run(family: str = FAMILY, **changes: object) -> Evaluation:
    policies = changes.pop("policies", [tiny("maml", s, family) for s in (0, 1)])
    settings = {
        "floor": [tiny("dr", 0, family)],
        "oracle": [tiny("oracle", 0, family)],
        "split": "held-out",
        "tasks": 3,
        "episodes": (0, 2),
        "measure_episodes": 2,
        "threads": 1,
    }
    return evaluated(policies, **(settings | changes))


def test_the_same_seed_gives_the_same_json_and_it_says_everything() -> None:
    first, second, other = run(), run(), run(seed=1)
    assert first.to_json() == second.to_json()
    assert first.curve[-1].returns != other.curve[-1].returns
    content = json.loads(first.to_json())
    assert content["family"] == FAMILY
    assert content["success"] == make_family(FAMILY).success
    assert (content["split"], content["seed"], content["tasks"]) == ("held-out", 0, 3)
    flat = ("return", "return_iqm", "success")
    for row in [*content["curve"], *content["baselines"].values()]:
        for name in flat:
            assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
    assert [row["episodes"] for row in content["curve"]] == [0, 2]
    assert set(content["baselines"]) == {"random", "dr", "oracle"}
    assert set(content["normalised"]) == {"0", "2"}
    for interval in (*content["normalised"].values(), content["admission"]):
        assert set(interval) == {"value", "low", "high"}
    assert content["harm_rate_low"] <= content["harm_rate"]
    assert content["worst_decile"] == content["curve"][-1]["worst_decile"]
    assert content["faults"] == 0
    assert content["ledgers"]["policy"] == {
        "adapt": 2 * 3 * 2 * 100,
        "measure": 2 * 2 * 3 * 2 * 100,
        "adapt_episodes": 2 * 3 * 2,
        "measure_episodes": 2 * 2 * 3 * 2,
        "faults": 0,
    }
    assert set(content["rivals"]) == {"dr-finetune", "scratch"}
    assert not any(leak["told"] for leak in content["leaks"])
    assert {"pliant", "torch", "mujoco", "numpy", "python"} <= set(content["versions"])
    sources = [p["source"] for p in content["policies"]["policy"]]
    assert sources == ["maml 0", "maml 1"]
    assert {"iteration", "env_steps"} <= set(content["policies"]["dr"][0])


@pytest.mark.usefixtures("planted_worlds")
def test_others_can_compute_every_statistic_from_the_raw_scores() -> None:
    result = measured(
        planted(0.3),
        replace(planted(0.6), cfg=replace(planted(0.6).cfg, seed=1)),
        floor=[planted(0.2, "dr")],
        oracle=[planted(1.0, "oracle")],
        tasks=12,
        episodes=(0, 3),
    )
    content = json.loads(result.to_json())
    scores = {
        name: {row["episodes"]: np.array(row["returns"]) for row in rows}
        for name, rows in content["scores"].items()
    }
    assert scores["policy"][3].shape == (2, 12)
    assert len(content["task_hashes"]) == 12
    floor, ceiling = scores["dr"][0].mean(), scores["oracle"][0].mean()
    for point in content["curve"]:
        mine = scores["policy"][point["episodes"]]
        assert point["return"] == pytest.approx(mine.mean())
        worse = mine < scores["policy"][0]
        assert point["harm_rate"] == pytest.approx(worse.mean())
        share = (mine.mean() - floor) / (ceiling - floor)
        assert point["normalised"] == pytest.approx(share)
    pairs = scores["policy"][3][:, None] - scores["dr-finetune"][3][None]
    wins = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
    assert content["improvement"]["dr-finetune"]["value"] == pytest.approx(wins)
    more = scores["policy"][3].mean() - scores["dr-finetune"][3].mean()
    assert content["ahead"]["dr-finetune"]["value"] == pytest.approx(more)
    trained = content["policies"]["policy"][1]
    assert (trained["seed"], trained["config"]["seed"]) == (1, 1)


def test_the_curve_extends_the_same_first_episodes() -> None:
    # whether 0 is asked for too changes nothing for 2
    alone, more = run(episodes=(2, 3)), run(episodes=(0, 2, 3))
    assert alone.curve[0].returns.value == more.curve[1].returns.value
    assert alone.curve[0].harm_rate.value == more.curve[1].harm_rate.value


class Diverging(CheetahDirection):
    """A cheetah that its motors tear apart."""

    name = "diverging"

    def compile(self) -> mujoco.MjModel:
        model = super().compile()
        model.actuator_gear[:] *= 1e9
        return model


def test_diverging_worlds_are_counted_not_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FAMILIES, Diverging.name, Diverging)
    result = run(Diverging.name)
    # random tears all its 6 worlds apart, and so does all adapting: 2 seeds, 6 each
    assert result.faults >= 6 + 2 * 6
    assert result.ledgers["policy"].adapt == 2 * 3 * 2 * 100
    content = json.loads(result.to_json())
    assert content["faults"] == result.faults
    assert all(row["return"] is not None for row in content["curve"])


# -- what people see -----------------------------------------------------------------


def test_table_plot_and_report_show_the_baselines(tmp_path: Path) -> None:
    result = run()
    console = Console(width=150, record=True)
    print_table(result, console)
    write_report(result, tmp_path / "new")
    report = (tmp_path / "new/report.md").read_text()
    for text, mark in ((console.export_text(), "("), (report, "(tasks ")):
        for name in ("random", "DR", "oracle", "not adapted", "after 2 episodes"):
            assert name in text
        # one seed of DR, whose interval is not written as if it covered seeds
        assert f"{number(result.baselines['dr'].returns.value)} {mark}" in text
        assert f"{mark}...) marks one training seed" in text
        assert f"{number(result.curve[1].returns.value)} [" in text
        assert f"success: {make_family(FAMILY).success}" in text
        assert "2 training seeds" in text
        assert "1,200 adapting" in text
    narrow = Console(width=80, record=True)
    print_table(result, narrow)
    lines = narrow.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    [ours] = [line.split() for line in lines if line.strip().startswith("after 2 e")]
    after = result.curve[1]
    returns, success = number(after.returns.value), number(after.success.value)
    assert (ours[3], ours[6]) == (returns, success)
    assert not ours[7].startswith("[")  # the success's interval
    assert not any("env steps" in line for line in lines if "return" in line)
    rows = [line for line in report.splitlines() if line[:1] == "|"]
    rows = rows[: [row.count("|") == 6 for row in rows].index(False)]
    for place, name, mark in ((2, "random", "["), (3, "DR", "("), (-1, "oracle", "(")):
        value = number(result.baselines[name.lower()].returns.value)
        assert rows[place].startswith(f"| {name} | {value} {mark}")
    assert "(curve.png)" in report
    assert (tmp_path / "new/curve.png").stat().st_size > 10_000
    plot(result, tmp_path / "curve.png")
    png = (tmp_path / "curve.png").read_bytes()
    assert png == (tmp_path / "new/curve.png").read_bytes()


@pytest.mark.usefixtures("planted_worlds")
@pytest.mark.parametrize(("oracle", "below"), [(1.0, False), (0.6, True)])
def test_no_share_of_a_gap_is_given_where_there_is_none(
    tmp_path: Path, oracle: float, below: bool
) -> None:
    ends = {"floor": [planted(0.99, "dr")], "oracle": [planted(oracle, "oracle")]}
    result = measured(planted(0.5), **ends, tasks=20, episodes=(0, 1))
    assert not result.has_gap
    assert not result.profiles
    assert all(np.isnan(p.normalised.value) for p in result.curve)
    assert result.episodes_to_90 is None
    content = json.loads(result.to_json(), parse_constant=pytest.fail)
    assert content["curve"][0]["normalised"] is None
    assert content["normalised"]["1"] == {"value": None, "low": None, "high": None}
    console = Console(width=150, record=True)
    print_table(result, console)
    write_report(result, tmp_path)
    for text in (console.export_text(), (tmp_path / "report.md").read_text()):
        assert "no gap" in text
        assert "90 % of the gap: no gap to close" in text
        assert ("no ceiling here" in text) == below


def test_a_gap_is_uncertain_where_its_share_is_unbounded() -> None:
    result = replace(run(), admission=Estimate(value=0.9, low=0.2, high=1.1))
    assert (result.has_gap, result.uncertain) == (True, False)
    for value, uncertain in ((0.9, True), (0.0, False), (np.nan, False)):
        loose = Estimate(value=value, low=-np.inf, high=np.inf)
        result = replace(result, admission=loose)
        assert (result.has_gap, result.uncertain) == (False, uncertain)
        console = Console(width=150, record=True)
        print_table(result, console)
        text = console.export_text()
        assert ("no share of the gap is shown" in text) == uncertain
        assert ("90 % of the gap: uncertain" in text) == uncertain


@pytest.mark.usefixtures("planted_worlds")
def test_methods_trained_on_unlike_env_steps_are_not_compared_in_silence() -> None:
    long = replace(planted(1.0, "oracle"), env_steps=40_000_000)
    short = replace(planted(0.2, "dr"), env_steps=12_500)
    for other, said in ((long, False), (short, True)):
        mine = replace(planted(0.5), env_steps=40_000_000)
        dr = replace(other, cfg=replace(other.cfg, method="dr"))
        result = measured(mine, floor=[dr], oracle=[long], episodes=(0, 1))
        console = Console(width=150, record=True)
        print_table(result, console)
        text = console.export_text()
        assert ("CAUTION: trained on unlike" in text) == said
        assert ("DR 12.5 k" in text) == said


@pytest.mark.usefixtures("planted_worlds")
def test_methods_whose_episodes_end_in_faults_are_named() -> None:
    result = measured(planted(0.5), floor=[planted(0.2, "dr")], episodes=(0, 1))
    assert "fault ended" not in " ".join(cautions(result))
    result.ledgers["random"].faults = count = result.ledgers["random"].measure_episodes
    wanted = f"CAUTION: of {count:,} episodes of random a fault ended {count:,}"
    assert wanted in cautions(result)


def test_return_success_and_their_middle_half_are_told_apart() -> None:
    returns = np.array([[1.0, 2.0, 3.0, 10.0]])
    success = np.array([[0.0, 1.0, 1.0, 1.0]])
    scores, drawn = Measured(returns=returns, success=success), Drawn(None, 1)
    level = _level(scores, np.random.default_rng(0), drawn)
    found = level.returns.value, level.iqm.value, level.success.value
    assert found == pytest.approx((4.0, 2.5, 0.75))


# -- what is refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"episodes": (0, -1)}, "numbers of 0 to 100,000, got 0, -1"),
        ({"episodes": (1, 1)}, "different numbers of 0 to 100,000, got 1, 1"),
        ({"episodes": ()}, "got none"),
        ({"tasks": 0}, "need 1 <= tasks <= 100,000, got 0"),
        ({"measure_episodes": 0}, "need 1 <= measure_episodes <= 100,000, got 0"),
        ({"seed": -1}, "need 0 <= seed < .*, got -1"),
        ({"split": "unseen"}, "has no split 'unseen'"),
        ({"split": "heldout"}, "splits: train, held-out"),
        ({"floor": [tiny("maml")]}, "not as the dr-memory or dr baseline"),
        ({"oracle": [tiny("dr")]}, "not as the oracle baseline"),
        ({"policies": []}, "at least one policy"),
        ({"policies": [tiny("maml"), tiny("dr")]}, "of one method, got dr, maml"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(changes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        run(**changes)


@pytest.mark.parametrize("which", ["dr", "oracle"])
def test_baselines_of_another_family_are_refused(which: str) -> None:
    other = replace(tiny(which), cfg=make_config("reach-rotated", which))
    words = "different families: cheetah-direction, reach-rotated"
    with pytest.raises(ValueError, match=words):
        run(**{{"dr": "floor"}.get(which, which): [other]})
