"""Every family, and the tasks, splits and environment that they share."""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from robots.sim.tape import cpu_simulator
from tasks.contract import Step
from tasks.env import Env
from tasks.family import Family, Instant
from tasks.locomotion.ant_crippled import AntCrippled
from tasks.locomotion.ant_direction import AntDirection
from tasks.locomotion.walker_parameters import WalkerParameters
from tasks.parameters import SPLITS, Choice, Parameter, Scalar, Value
from tasks.registry import FAMILIES, make_family
from tasks.rows import AGENT
from tasks.task import Task
from tasks.teams.crossing import Crossing

PROTOCOL_REWARDS = {
    "cheetah-direction",
    "cheetah-velocity",
    "ant-direction",
    "ant-crippled",
    "walker-parameters",
}
"""Families whose reward is a published protocol's, not terms in [0, 1]."""

NOT_SHIPPED = (AntDirection, AntCrippled, WalkerParameters, Crossing)
KINDS = {**FAMILIES, **{kind.name: kind for kind in NOT_SHIPPED}}
"""Those that are registered, and those that ship no policy yet."""

every_family = pytest.mark.parametrize("name", sorted(KINDS))


@functools.cache
def family_of(name: str) -> Family:
    return KINDS[name]()


def make_env(name: str, tasks: Sequence[Task], *, oracle: bool = False) -> Env:
    env = Env(family_of(name), worlds=len(tasks), oracle=oracle, threads=1)
    env.assign(tasks)
    return env


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def play(
    env: Env, actions: Tensor, *, seed: int = 0
) -> tuple[Tensor, Tensor, list[Step]]:
    """Observations (time, world, obs), rewards (time, world), and the steps."""
    obs = [env.reset(seeded(seed))]
    steps = [env.step(action) for action in actions]
    obs += [step.obs for step in steps]
    return torch.stack(obs), torch.stack([s.reward for s in steps]), steps


def draw_actions(family: Family, worlds: int, *, time: int | None = None) -> Tensor:
    shape = (time or family.horizon, worlds, family.action_dim)
    return 2 * torch.rand(shape, generator=seeded(5)) - 1


def with_parameter(task: Task, name: str, value: Value) -> Task:
    return dataclasses.replace(task, parameters={**task.parameters, name: value})


def is_continuous(p: Parameter) -> bool:
    return isinstance(p, Scalar) and p.high > p.low


# -- families ------------------------------------------------------------------------


@every_family
def test_random_episodes_are_finite_bounded_and_without_faults(name: str) -> None:
    family = family_of(name)
    # a million steps of each: python -m benchmarks.hardening steps
    worlds = min(200, 20_000 // family.horizon)
    env = make_env(name, family.sample("train", 1, worlds))
    actions = draw_actions(family, worlds)
    actions[:, ::4] = actions[0, ::4].sign()  # a quarter holds extreme actions
    obs, rewards, steps = play(env, actions)
    assert obs.shape == (family.horizon + 1, worlds, family.obs_dim)
    assert obs.isfinite().all()
    assert rewards.isfinite().all()
    assert not any(step.fault.any() for step in steps)
    assert all(step.terms.keys() == family.weights.keys() for step in steps)
    assert [s.truncated.all().item() for s in steps] == [False] * (len(steps) - 1) + [
        True
    ]
    for term in family.weights:
        values = torch.stack([step.terms[term] for step in steps])
        assert values.std() > 0, term
        if name not in PROTOCOL_REWARDS:
            assert values.min() >= 0, term
            assert values.max() <= 1, term
    weighted = sum(w * steps[-1].terms[t] for t, w in family.weights.items())
    torch.testing.assert_close(rewards[-1], weighted)


@every_family
def test_training_observations_are_of_order_one(name: str) -> None:
    family = family_of(name)
    env = make_env(name, family.sample("train", 1, 50))
    obs, _, _ = play(env, draw_actions(family, 50))
    assert obs.abs().mean() < 10
    varying = obs.flatten(0, 1).std(0)
    assert (varying > 1e-4).all(), "an observation that never changes"


@every_family
def test_same_seed_same_trajectory(name: str) -> None:
    family = family_of(name)
    tasks = family.sample("train", 3, 4)
    actions = draw_actions(family, 4, time=10)
    first = play(make_env(name, tasks), actions)
    again = play(make_env(name, [family.parse(t.to_json()) for t in tasks]), actions)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    other = play(make_env(name, tasks), actions, seed=1)
    assert not torch.equal(first[0], other[0])


@every_family
def test_a_second_episode_equals_the_first_from_the_same_start(name: str) -> None:
    family = family_of(name)
    env = make_env(name, family.sample("train", 3, 4))
    actions = draw_actions(family, 4, time=10)
    first, again = play(env, actions), play(env, actions)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])


@every_family
def test_out_of_range_actions_are_clipped(name: str) -> None:
    family = family_of(name)
    tasks = family.sample("train", 3, 2)
    actions = draw_actions(family, 2, time=5).sign()
    bounded = play(make_env(name, tasks), actions)
    wild = play(make_env(name, tasks), 1000 * actions)
    assert torch.equal(bounded[0], wild[0])
    assert torch.equal(bounded[1], wild[1])


def distinct_values(family: Family, p: Parameter) -> list[Value]:
    """Values that tasks of the family can have, the extremes first."""
    rng = np.random.default_rng(0)
    drawn = {p.sample(split, rng) for split in family.splits for _ in range(30)}
    numbers = sorted(drawn, key=p.number)
    return [numbers[0], numbers[-1], *numbers[1:-1]]


def parameter_cases() -> list[tuple[str, str]]:
    # the others' in tests/tasks/locomotion/test_published.py, all at once
    return [
        (n, p.name) for n, kind in sorted(FAMILIES.items()) for p in kind().parameters
    ]


@pytest.mark.parametrize(("name", "parameter"), parameter_cases())
def test_every_parameter_changes_motion_or_reward(name: str, parameter: str) -> None:
    family = family_of(name)
    (p,) = [p for p in family.parameters if p.name == parameter]
    values = distinct_values(family, p)
    values = values[: 10 if isinstance(p, Choice) else 2]
    assert len(values) >= 2
    if parameter == AGENT:
        pytest.skip("no world differs by whose row it is")
    base = family.of_team(family.sample("train", 0, 1)[0])
    # each action alone, both ways, and mixtures, enough of them for a peg to meet its
    # hole; held from one start a world
    held = torch.cat([torch.eye(family.action_dim), -torch.eye(family.action_dim)])
    held = torch.cat([held, draw_actions(family, 40, time=1)[0]])
    seen: list[Tensor] = []
    for value in values:
        team = [with_parameter(task, parameter, value) for task in base]
        env = make_env(name, team * (len(held) // len(team)))
        obs, rewards, _ = play(env, held.expand(family.horizon, -1, -1))
        seen.append(torch.cat([obs[1:], rewards[..., None]], dim=-1))
    for other in seen[1:]:
        assert (other - seen[0]).abs().max() > 1e-3


@every_family
def test_the_oracle_sees_the_rest_and_the_hidden_parameters(name: str) -> None:
    family = family_of(name)
    tasks = family.sample("train", 4, 6)
    actions = draw_actions(family, 6, time=3)
    blind, told = make_env(name, tasks), make_env(name, tasks, oracle=True)
    obs, rewards, _ = play(blind, actions)
    more, same, _ = play(told, actions)
    assert torch.equal(more[..., : family.obs_dim], obs)
    assert torch.equal(rewards, same)
    columns: list[Tensor] = []
    for p in family.hidden:
        numbers = torch.tensor([p.number(t.parameters[p.name]) for t in tasks])
        columns.append(p.encode(numbers))
    expected = torch.cat(columns, -1)
    if family.agents:  # each sees them from its own end
        expected = family.reveal(family.values(tasks))
    assert told.obs_dim == family.obs_dim + expected.shape[1]
    assert torch.equal(more[..., family.obs_dim :], expected.expand(len(more), -1, -1))
    assert expected.abs().max() <= 1 + 1e-5


@every_family
def test_the_first_observation_tells_no_hidden_parameter(name: str) -> None:
    family = family_of(name)
    worlds, training = 800, 600
    tasks = family.sample("train", 6, worlds)
    env = make_env(name, tasks)
    obs = env.reset(seeded(7)).double()
    hidden = family.reveal(family.values(tasks)).double()
    x = torch.cat([(obs - obs.mean(0)) / (obs.std(0) + 1e-6), torch.ones(worlds, 1)], 1)
    gram = x[:training].T @ x[:training] + 1e-3 * torch.eye(x.shape[1])
    weights = torch.linalg.solve(gram, x[:training].T @ hidden[:training])
    truth = hidden[training:]
    variance = (truth - hidden[:training].mean(0)).square().mean(0)
    varies = variance > 0
    assert varies.any()
    explained = 1 - (truth - x[training:] @ weights).square().mean(0) / variance
    assert (explained[varies] < 0.1).all(), explained


@every_family
def test_reset_of_some_worlds_leaves_the_others(name: str) -> None:
    family = family_of(name)
    tasks = family.sample("train", 3, 3 * family.team)
    actions = draw_actions(family, len(tasks), time=6)
    env, undisturbed = make_env(name, tasks), make_env(name, tasks)
    for e in (env, undisturbed):
        play(e, actions[:3])
    first, begun, last = torch.arange(len(tasks)).chunk(3)
    others = torch.cat([first, last])
    obs = env.reset(seeded(9), begun)
    assert obs.shape == (len(tasks), family.obs_dim)
    for action in actions[3:]:
        got, expected = env.step(action), undisturbed.step(action)
        assert torch.equal(got.obs[others], expected.obs[others])
        assert torch.equal(got.reward[others], expected.reward[others])
        assert not torch.equal(got.obs[begun], expected.obs[begun])


@every_family
def test_a_fault_ends_the_episode_of_its_world_alone(name: str) -> None:
    family = family_of(name)
    tasks = family.sample("train", 3, 3 * family.team)
    actions = draw_actions(family, len(tasks), time=4)
    expected, _, _ = play(make_env(name, tasks), actions)
    broken = 2 * family.team
    actions[1, broken] = float("nan")
    obs, rewards, steps = play(make_env(name, tasks), actions)
    faults = [s.fault.tolist() for s in steps]
    assert [fault[broken] for fault in faults] == [False, True, True, True]
    # nor that of another agent in the same world
    assert sum(faults[-1]) == 1
    assert steps[1].terminated.tolist()[broken]
    assert not steps[-1].success[broken]
    assert torch.equal(obs[:, :broken], expected[:, :broken])
    assert obs.isfinite().all()
    # the reward of the step that faulted may be judged by its invalid action
    assert rewards[:, :broken].isfinite().all()


# -- splits --------------------------------------------------------------------------


def sample_values(
    family: Family, split: str, p: Parameter, count: int = 200
) -> list[Value]:
    return [t.parameters[p.name] for t in sampled(family.name, split, count)]


@functools.cache
def sampled(name: str, split: str, count: int) -> list[Task]:
    return family_of(name).sample(split, 11, count)


@every_family
def test_splits_share_no_task(name: str) -> None:
    family = family_of(name)
    if not any(is_continuous(p) for p in family.parameters):
        pytest.skip("a finite set of training tasks: held-out ones are the same")
    hashes = [{t.hash for t in family.sample(s, 11, 200)} for s in family.splits]
    assert len(set[str]().union(*hashes)) == 200 * len(family.splits)


@every_family
def test_splits_draw_from_where_they_should(name: str) -> None:
    family = family_of(name)
    for p in family.parameters:
        match p:
            case Scalar():
                check_scalar(family, p)
            case Choice():
                check_choice(family, p)
            case _:
                pytest.fail(f"no check for {p}")


def check_scalar(family: Family, p: Scalar) -> None:
    low, high = p.hole or (p.high, p.high)
    for split in ("train", "held-out"):
        for value in sample_values(family, split, p):
            assert p.low <= p.number(value) <= p.high
            assert not low < p.number(value) < high
    if p.hole:
        for value in sample_values(family, "interpolation", p):
            assert low <= p.number(value) <= high
    if p.beyond:
        drawn = [p.number(v) for v in sample_values(family, "extrapolation", p)]
        assert all(v <= p.low or v >= p.high for v in drawn)
        assert all(any(a <= v <= b for v in drawn) for a, b in p.beyond)


def check_choice(family: Family, p: Choice) -> None:
    for split in family.splits:
        drawn = set(sample_values(family, split, p))
        unseen = split == "unseen" and p.unseen
        options = set(p.unseen if unseen else p.options)
        assert drawn <= options
        assert len(drawn) >= 0.8 * len(options)  # of dozens not all are drawn


@every_family
def test_a_task_depends_on_its_place_and_not_on_how_many_are_drawn(name: str) -> None:
    family = family_of(name)
    few, many = family.sample("train", 2, 3), family.sample("train", 2, 10)
    assert few == many[:3]
    assert family.sample("train", 3, 3) != few
    assert [t.parameters for t in family.sample("extrapolation", 2, 3)] != [
        t.parameters for t in few
    ]


@every_family
def test_unknown_splits_are_refused_with_the_known_ones(name: str) -> None:
    family = family_of(name)
    with pytest.raises(
        ValueError, match=f"{name}.*no split 'test'; splits: train, held-out"
    ):
        family.sample("test", 0, 1)
    for split in set(SPLITS) - set(family.splits):
        with pytest.raises(ValueError, match=f"no split '{split}'"):
            family.sample(split, 0, 1)


# hashes of the first tasks drawn with seed 11
HELD_OUT_HASHES = {
    "strike": "42f8a681c1620091",
    "push": "e874dcc76a8b295d",
    "grasp": "41ea02fa87174160",
    "open": "2e6be74993b9677a",
    "insert": "9ca18bbc72f9b9d5",
    "intercept": "e5f5f6f2437560a5",
    "drive-slide": "d7f687c72dfc6376",
    "reach-rotated": "34ab94643edfe6ac",
    "cheetah-direction": "23d2d17539024236",
    "cheetah-velocity": "af52269ee11dfaea",
    "ant-direction": "d4b05e4a5c3c9524",
    "ant-crippled": "4c5c5e1ff5d3124c",
    "walker-parameters": "fe1559e6798eb057",
    "drive-avoid": "81480fc727b17bbc",
    "drive-park": "e522f4ae76574449",
    "shove": "b45a1ff7ec73a03d",
    "drive-fork": "6e5e17c475142ef0",
    "crossing": "589d6ab97efeda58",
    "carry": "d16f4203cbce2345",
    "handover": "74a42ec25f4db4d7",
}


@every_family
def test_held_out_tasks_are_those_of_earlier_versions(name: str) -> None:
    """However many unseen objects there are."""
    assert family_of(name).sample("held-out", 11, 1)[0].hash == HELD_OUT_HASHES[name]


@pytest.mark.parametrize("name", ["strike", "push", "grasp"])
def test_unseen_objects_are_fifty_and_each_task_names_its_own(name: str) -> None:
    family = family_of(name)
    [shape] = [p for p in family.parameters if isinstance(p, Choice)]
    assert len(shape.unseen) >= 50
    assert not set(shape.unseen) & set(shape.options)
    tasks = family.sample("unseen", 0, 100)
    assert [family.object_of(t) for t in tasks] == [
        t.parameters["shape"] for t in tasks
    ]
    assert len(set(map(family.object_of, tasks))) > 35


def test_tasks_that_share_nothing_have_no_object() -> None:
    assert family_of("open").object_of(family_of("open").sample("train", 0, 1)[0])
    for name in ("insert", "intercept", "reach-rotated", "cheetah-direction"):
        [task] = family_of(name).sample("train", 0, 1)
        assert family_of(name).object_of(task) == ""


@pytest.mark.parametrize("name", ["strike", "push", "grasp", "open"])
def test_the_unseen_split_is_drawn_and_read_by_its_former_name_too(name: str) -> None:
    family = family_of(name)
    tasks = family.sample("unseen", 11, 6)
    assert family.sample("unseen-shapes", 11, 6) == tasks
    assert {task.split for task in tasks} == {"unseen"}
    text = tasks[0].to_json()
    assert '"split": "unseen"' in text
    former = text.replace('"split": "unseen"', '"split": "unseen-shapes"')
    assert family.parse(former) == tasks[0]


@every_family
def test_one_parameter_leaves_its_training_range_at_a_time(name: str) -> None:
    family = family_of(name)
    beyond = {
        p.name: p for p in family.parameters if isinstance(p, Scalar) and p.beyond
    }
    assert beyond
    jointly = family.sample("extrapolation", 3, 12)
    for far in beyond:
        tasks = family.sample(f"extrapolation:{far}", 3, 12)
        assert tasks[:5] == family.sample(f"extrapolation:{far}", 3, 5)
        assert not {t.hash for t in tasks} & {t.hash for t in jointly}
        for task in tasks:
            for p in family.parameters:
                value = task.parameters[p.name]
                if isinstance(p, Choice):
                    assert value in p.options
                    continue
                assert isinstance(p, Scalar)
                ends = p.beyond if p.name == far else p.intervals("train")
                assert any(a <= p.number(value) <= b for a, b in ends), (far, p.name)
            again = family.parse(task.to_json())
            assert (again, again.split) == (task, f"extrapolation:{far}")


def test_a_parameter_that_never_leaves_its_range_is_no_split() -> None:
    family = family_of("strike")
    for name in ("shape", "insert_y"):
        message = (
            f"no split 'extrapolation:{name}'; splits: train, .*extrapolation:mass"
        )
        with pytest.raises(ValueError, match=message):
            family.sample(f"extrapolation:{name}", 0, 1)
    text = family.sample("extrapolation:mass", 0, 1)[0].to_json()
    for wrong in ("extrapolation:shape", "held-out:mass", "extrapolation:"):
        with pytest.raises(ValueError, match=f"unknown split '{wrong}'"):
            family.parse(text.replace("extrapolation:mass", wrong))


def test_a_family_without_the_unseen_split_refuses_both_its_names() -> None:
    for name in ("unseen", "unseen-shapes"):
        with pytest.raises(ValueError, match="no split 'unseen'; splits: train"):
            family_of("cheetah-direction").sample(name, 0, 1)


# -- tasks as JSON -------------------------------------------------------------------


@every_family
def test_tasks_survive_json(name: str) -> None:
    family = family_of(name)
    for split in family.splits:
        for task in family.sample(split, 8, 5):
            parsed = family.parse(task.to_json())
            assert parsed == task
            assert parsed.hash == task.hash


@every_family
def test_a_tampered_task_is_refused(name: str) -> None:
    family = family_of(name)
    raw = json.loads(family.sample("train", 8, 1)[0].to_json())
    for p in family.parameters:
        value = raw["parameters"][p.name]
        others = [v for v in distinct_values(family, p) if v != value]
        changed = raw["parameters"] | {p.name: others[0]}
        with pytest.raises(ValueError, match=r"hash .* does not match its parameters"):
            family.parse(json.dumps(raw | {"parameters": changed}))
    with pytest.raises(ValueError, match="hash 0 does not match"):
        family.parse(json.dumps(raw | {"hash": "0"}))


@every_family
def test_wrong_tasks_are_refused_with_what_is_allowed(name: str) -> None:
    family = family_of(name)
    raw = json.loads(family.sample("train", 8, 1)[0].to_json())
    del raw["hash"]
    first = family.parameters[0].name
    extra = raw["parameters"] | {"colour": 1.0}
    fewer = {k: v for k, v in raw["parameters"].items() if k != first}
    wrong: dict[str, object] = {
        "expected '": raw | {"family": "juggle"},
        "has the parameters .*colour": raw | {"parameters": extra},
        f"has the parameters {first}": raw | {"parameters": fewer},
        "unknown split 'exam'": raw | {"split": "exam"},
        "not a task": {"family": name},
    }
    for value in ([1], None, "nonsense"):
        broken = raw | {"parameters": raw["parameters"] | {first: value}}
        with pytest.raises(ValueError, match=f"parameter '{first}'"):
            family.parse(json.dumps(broken))
    for text, task in wrong.items():
        with pytest.raises(ValueError, match=text):
            family.parse(json.dumps(task))
    for text in ("", "[]", "3", "null", '{"family"'):
        with pytest.raises(ValueError, match="not a task"):
            family.parse(text)


# -- parameters ----------------------------------------------------------------------


def test_scalars_are_encoded_by_their_place_in_the_training_range() -> None:
    plain = Scalar(name="mass", unit="kg", low=1.0, high=3.0)
    got = plain.encode(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    torch.testing.assert_close(got, torch.tensor([[-1.0], [0.0], [1.0], [2.0]]))
    log = Scalar(name="friction", unit="1", low=0.1, high=10.0, log=True)
    got = log.encode(torch.tensor([0.1, 1.0, 10.0]))
    torch.testing.assert_close(got, torch.tensor([[-1.0], [0.0], [1.0]]))


def test_choices_are_encoded_one_hot_or_by_their_traits() -> None:
    plain = Choice(name="shape", options=("box", "disc"))
    numbers = torch.tensor([plain.number(v) for v in ("disc", "box")])
    assert plain.encode(numbers).tolist() == [[0, 1], [1, 0]]
    traits = {"box": (0.0,), "disc": (1.0,), "tee": (0.5,)}
    told = dataclasses.replace(plain, unseen=("tee",), traits=traits)
    numbers = torch.tensor([told.number(v) for v in ("tee", "box")])
    assert told.encode(numbers).tolist() == [[0.5], [0.0]]


def test_unseen_options_without_traits_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"'shape' has unseen .* for box, tee; got none"
    ):
        Choice(name="shape", options=("box",), unseen=("tee",))


def test_scalars_are_drawn_evenly_in_their_measure() -> None:
    rng = np.random.default_rng(0)
    p = Scalar(name="friction", unit="1", low=0.01, high=1.0, hole=(0.1, 0.2), log=True)
    drawn = np.array([p.sample("train", rng) for _ in range(4000)])
    # log lengths: ln 10 below the hole, ln 5 above it
    share = np.log(10) / (np.log(10) + np.log(5))
    assert (drawn < 0.1).mean() == pytest.approx(share, abs=0.03)
    below = np.log(drawn[drawn < 0.1])
    assert np.median(below) == pytest.approx(np.log(0.01 * 10**0.5), abs=0.1)


@pytest.mark.parametrize(
    "ranges",
    [
        {"low": 2.0, "high": 1.0},
        {"low": 0.0, "high": 1.0, "hole": (0.5, 1.5)},
        {"low": 0.0, "high": 1.0, "beyond": ((0.9, 2.0),)},
        {"low": 0.0, "high": 1.0, "log": True},
    ],
)
def test_impossible_ranges_are_refused(ranges: Mapping[str, float]) -> None:
    with pytest.raises(ValueError, match="parameter 'mass': need low <= hole <= high"):
        Scalar(name="mass", unit="kg", **ranges)


# -- the registry and the environment ------------------------------------------------


@every_family
def test_a_family_is_registered_under_its_name(name: str) -> None:
    family = family_of(name)
    assert family.name == name
    names = [p.name for p in family.parameters]
    assert len(set(names)) == len(names)
    assert family.model.nu > 0
    assert set(family.splits) <= set(SPLITS)


def test_an_unknown_family_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown family 'strik'; families: .*strike"):
        make_family("strik")


def test_wrong_assignments_are_refused() -> None:
    family = family_of("cheetah-direction")
    env = Env(family, worlds=2, threads=1)
    with pytest.raises(RuntimeError, match="no tasks yet: call assign first"):
        env.reset(seeded())
    tasks = family.sample("train", 0, 3)
    with pytest.raises(ValueError, match="2 worlds take as many tasks, got 3"):
        env.assign(tasks)
    stranger = dataclasses.replace(tasks[0], family="juggle")
    with pytest.raises(ValueError, match="tasks of juggle in worlds of cheetah"):
        env.assign([tasks[0], stranger])


def test_some_worlds_take_another_task_and_the_others_never_notice() -> None:
    family = make_family("reach-rotated")
    one, two, other = family.sample("train", 0, 3)
    rng = torch.Generator().manual_seed(0)
    env = Env(family, worlds=3, oracle=True, threads=1)
    with pytest.raises(RuntimeError, match="to all worlds before some"):
        env.assign([one], torch.tensor([1]))
    env.assign([one, one, two])
    before = env.reset(rng)
    env.assign([other], torch.tensor([1]))
    assert env.tasks == (one, other, two)
    expected = family.values([one, other, two])
    assert all(torch.equal(v, expected[k]) for k, v in env._values.items())
    # the episode goes on, and the oracle is told at once
    after = env.step(torch.zeros(3, 2)).obs
    assert torch.equal(after[[0, 2], 5:], before[[0, 2], 5:])
    fresh = Env(family, worlds=1, oracle=True, threads=1)
    fresh.assign([other])
    assert torch.equal(after[1, 5:], fresh.reset(rng)[0, 5:])
    with pytest.raises(ValueError, match="1 worlds take as many tasks, got 2"):
        env.assign([one, two], torch.tensor([1]))


def test_a_changed_world_moves_like_one_that_had_the_task_from_the_start() -> None:
    family = make_family("strike")
    tasks = family.sample("train", 0, 2)
    env, twin = (Env(family, worlds=2, threads=1) for _ in range(2))
    env.assign([tasks[0], tasks[0]])
    twin.assign(tasks)
    for e in (env, twin):
        e.reset(torch.Generator().manual_seed(1))
    env.assign([tasks[1]], torch.tensor([1]))
    for e in (env, twin):
        e.reset(torch.Generator().manual_seed(2))
    for _ in range(family.horizon):
        steps = [e.step(torch.full((2, 2), 0.7)) for e in (env, twin)]
        assert torch.equal(steps[0].obs, steps[1].obs)


def test_a_step_before_a_reset_is_refused() -> None:
    env = Env(make_family("reach-rotated"), worlds=1, threads=1)
    with pytest.raises(RuntimeError, match="call reset first"):
        env.step(torch.zeros(1, 2))


def test_what_never_varied_in_training_tells_the_oracle_nothing() -> None:
    family = make_family("cheetah-direction")
    heavy = family.values(family.sample("extrapolation", 0, 20))
    known = family.values(family.sample("train", 0, 20))
    assert (heavy["mass"] > 1.1).all()
    shown = family.reveal(heavy)
    assert set(map(tuple, shown.tolist())) <= set(
        map(tuple, family.reveal(known).tolist())
    )


@every_family
def test_a_faulty_world_is_worth_nothing_and_touches_no_other(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An action that is no number; and one that is merely huge, which is clipped."""
    monkeypatch.chdir(tmp_path)  # where MuJoCo would write MUJOCO_LOG.TXT
    family = family_of(name)
    rows = torch.arange(4 * family.team).view(4, -1)
    bad, good = rows[[0, 2]].flatten(), rows[[1, 3]].flatten()
    env = make_env(name, family.sample("train", 0, rows.numel()))
    actions = draw_actions(family, rows.numel(), time=3)
    actions[1, rows[3]] = 1.0
    plain, rewards, _ = play(env, actions)
    actions[1, rows[0]], actions[1, rows[2], 0] = torch.nan, -torch.inf
    actions[1, rows[3]] = 1e30
    obs, worth, steps = play(env, actions)
    assert torch.equal(obs[:, good], plain[:, good])
    assert torch.equal(worth[:, good], rewards[:, good])
    assert not worth[1:, bad].any()
    for step in steps[1:]:
        assert step.fault[bad].all()
        assert step.terminated[bad].all()
        assert not step.fault[good].any()
        assert not step.terminated[good].any()
        assert not step.success[bad].any()
        assert all(not term[bad].any() for term in step.terms.values())
        assert torch.equal(step.obs[bad], plain[1, bad])
    assert not play(env, actions[:1])[2][0].fault.any()
    assert not list(tmp_path.iterdir())


def test_absurd_numbers_are_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finite ones too, until the next reset."""
    env = make_env("strike", family_of("strike").sample("train", 0, 3))
    first, look = env.reset(seeded()), env.family.observe

    def blinded(now: Instant) -> Tensor:
        obs = look(now).clone()
        obs[1, 2] = 1.1 * env.family.bound
        obs[2, 0] = env.family.bound
        return obs

    monkeypatch.setattr(env.family, "observe", blinded)
    step = env.step(torch.zeros(3, 2))
    assert step.fault.tolist() == [False, True, False]
    assert torch.equal(step.obs[1], first[1])
    assert step.reward[1] == 0
    monkeypatch.undo()
    assert env.step(torch.zeros(3, 2)).fault.tolist() == [False, True, False]
    env.reset(seeded())
    assert not env.step(torch.zeros(3, 2)).fault.any()


def test_a_world_that_diverges_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    env = make_env("strike", family_of("strike").sample("train", 0, 2))
    env.reset(seeded())
    state = cpu_simulator(env.sim).state()
    state[0, 1 + env.sim.model.nq] = 1e9  # a velocity
    cpu_simulator(env.sim).set_state(state)
    step = env.step(torch.zeros(2, 2))
    assert step.fault.tolist() == [True, False]
    assert step.reward[0] == 0
    assert not list(tmp_path.iterdir())
