"""A change in mid-episode: when it happens, what is adapted on, how long it takes."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from meta.evaluation import mid_episode as change
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.mid_episode import _Changes, recoveries
from meta.evaluation.recovery import WINDOW, _time, recovery
from meta.experience.changes import changed, check_changeable, draw_changes
from meta.experience.rollout import Experience, collect
from meta.experience.schedule import schedule_over
from meta.learners.maml import Maml
from meta.learners.maml_cfg import MamlCfg
from meta.theta import Params, Theta
from meta.training.trained import Trained, load_trained
from policies.gaussian import Gaussian
from tasks.env import Env
from tasks.registry import make_family
from tasks.task import Task
from tasks.teams.shove import Shove


def tasks(name: str, *values: float) -> list[Task]:
    """Tasks of reach-rotated that differ in their rotation alone."""
    base = make_family(name).sample("train", 0, 1)[0]
    given = [dict(base.parameters) | {"rotation": v, "mirrored": "no"} for v in values]
    return [replace(base, parameters=p) for p in given]


def push(obs: Tensor) -> Gaussian:
    mean = torch.tensor([1.0, 0.0]).expand(len(obs), 2)
    return Gaussian(mean, torch.full((2,), -9.0))


def test_the_task_changes_at_the_step_and_the_episode_goes_on() -> None:
    env = Env(make_family("reach-rotated"), worlds=2, threads=1)
    before = tasks("reach-rotated", 0.0, 0.0)
    rng = torch.Generator().manual_seed(0)
    env.assign(before)
    whole = collect(env, push, rng, explore=False)
    rng = torch.Generator().manual_seed(0)
    env.assign(before)
    after = [before[0], *tasks("reach-rotated", 90.0)]
    turned = collect(env, push, rng, explore=False, changes={10: after})
    assert torch.equal(turned.obs[:, 0], whole.obs[:, 0])
    assert torch.equal(turned.obs[:11, 1], whole.obs[:11, 1])
    assert not torch.equal(turned.obs[11, 1], whole.obs[11, 1])
    step = (turned.obs[20, 1] - turned.obs[15, 1])[:2]
    # along x at first, then along y
    assert step[1] > 5 * step[0].abs()
    assert (whole.obs[20, 1] - whole.obs[15, 1])[0] > 0


def test_what_lasts_stays_as_it_was() -> None:
    family = make_family("strike")
    a, b = family.sample("unseen", 0, 2)
    mixed = changed(family, a, b)
    for name, value in mixed.parameters.items():
        source = a if name in ("shape", "size") else b
        assert value == source.parameters[name]


def test_every_change_is_of_something_that_matters() -> None:
    """Half the pairs of a cheetah's tasks run the same way; no change does."""
    before, after = draw_changes(make_family("cheetah-direction"), "held-out", 0, 20)
    ways = [[task.parameters["direction"] for task in x] for x in (before, after)]
    pairs = set(zip(*ways, strict=True))
    assert pairs == {("forwards", "backwards"), ("backwards", "forwards")}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "insert",
            "offset_x, offset_y cannot (the peg may be in the hole); friction can, and "
            "is scenery",
        ),
        (
            "open",
            "mechanism cannot (the furniture may be open); latch, damping can, and are "
            "scenery",
        ),
    ],
)
def test_a_change_of_scenery_alone_is_refused(name: str, words: str) -> None:
    policies = [load_trained(f"shipped:{name}")]
    with pytest.raises(ValueError, match="nothing that matters") as refusal:
        recoveries(policies, {}, EvaluationCfg(tasks=2))
    start = f"nothing that matters on {name} can change in mid-episode: "
    assert str(refusal.value) == start + words
    for other in ("strike", "push", "grasp", "reach-rotated", "cheetah-direction"):
        check_changeable(make_family(other))


def test_in_a_team_one_agents_own_changes() -> None:
    """Each agent's in turn; the world's other parameters stay as they were."""
    before, after = draw_changes(make_family("shove"), "held-out", 0, 12)
    for i in range(0, 12, 2):
        a, b = (dict(tasks[i].parameters) for tasks in (before, after))
        failing = ("left", "right")[i // 2 % 2]
        assert {k for k in a if a[k] != b[k]} == {f"friction_{failing}"}
        for one, other in (before[i : i + 2], after[i : i + 2]):
            assert (one.parameters["agent"], other.parameters["agent"]) == (
                "left",
                "right",
            )
            assert dict(one.parameters) | {"agent": "right"} == other.parameters
    with pytest.raises(ValueError, match=r"left, right.*multiples of 2, got 3"):
        draw_changes(make_family("shove"), "held-out", 0, 3)


def test_a_parameter_that_is_no_agents_own_is_every_agents() -> None:
    class Alike(Shove):
        parameters = (Shove.parameters[0], Shove.parameters[-1])

    before, after = draw_changes(Alike(), "held-out", 0, 4)
    for a, b in zip(before, after, strict=True):
        assert a.parameters["load_x"] != b.parameters["load_x"]
        assert a.parameters["agent"] == b.parameters["agent"]


def shove(obs: Tensor) -> Gaussian:
    return Gaussian(torch.full((len(obs), 1), 0.6), torch.full((1,), -9.0))


def test_an_end_that_turns_rough_under_way_stays_behind() -> None:
    """In the world of the change, from the change on, as both agents see it."""
    env = Env(make_family("shove"), worlds=4, threads=1)
    alike = {"friction_left": 0.05, "friction_right": 0.05, "load_x": 0.0}
    teams = [
        [
            replace(t, parameters={**t.parameters, **alike, **own})
            for t in env.family.sample("train", 0, 2)
        ]
        for own in ({}, {"friction_right": 0.13})
    ]
    slippery, rough = teams
    seen = list[Tensor]()
    for changes in ({}, {5: [*slippery, *rough]}):
        env.assign([*slippery, *slippery])
        rng = torch.Generator().manual_seed(0)
        seen.append(collect(env, shove, rng, explore=False, changes=changes).next_obs)
    whole, of_change = seen
    assert torch.equal(of_change[:, :2], whole[:, :2])
    assert torch.equal(of_change[:5], whole[:5])
    # twice the sine of the load's turn, as it is to either agent
    left, right = (of_change - whole)[-1, 2:, 10].tolist()
    assert left > 0.4
    assert left == -right


class Recorder(Maml):
    """Keeps what it is asked to adapt on."""

    def __init__(self) -> None:
        self.cfg = MamlCfg()
        self.windows: list[Experience] = []

    def adapt(self, theta: Theta, adaptation: Params, experience: Experience) -> Params:
        self.windows.append(experience)
        return adaptation

    def act(self, theta: Theta, adaptation: Params) -> Callable[[Tensor], Gaussian]:
        return push


def test_the_window_moves_from_the_old_task_over_the_change_to_the_new() -> None:
    family = make_family("reach-rotated")
    recorder = Recorder()
    trained = replace(load_trained("shipped:reach-rotated"), learner=recorder)
    changes = _Changes(
        family=family,
        before=tasks("reach-rotated", 0.0),
        after=tasks("reach-rotated", 90.0),
        schedule=schedule_over(family.horizon, "step"),
        seed=0,
        threads=1,
    )
    points = changes.points(trained)
    assert set(points) == {
        "during",
        "rest",
        "before",
        "stale",
        *map(str, range(WINDOW + 1)),
    }
    assert len(recorder.windows) == WINDOW + 2
    for new, e in enumerate(recorder.windows):
        assert e.obs.shape[:2] == (1, WINDOW)
        moved = e.next_obs[0, :, -6:, :2].mean(1) - e.obs[0, :, -6:, :2].mean(1)
        # at the end of its episode the one of the change is of the new task
        turned = (moved[:, 1] > moved[:, 0].abs()).tolist()
        assert turned == [False] * (WINDOW - new) + [True] * min(new, WINDOW)


@pytest.mark.parametrize(
    ("levels", "steps"),
    [
        ([0.0, 0.0, 1.0, 1.0], 13 + 25),
        ([0.0, 1.0, 1.0, 1.0], 13),
        ([0.0, 0.5, 0.8, 1.0], 13 + 50),
    ],
)
def test_the_time_to_recover_is_read(levels: Sequence[float], steps: int) -> None:
    rng = np.random.default_rng(0)
    scores = np.array(levels)[:, None, None] + rng.normal(0, 0.01, size=(4, 3, 50))
    found = _time(scores, 13, 25, rng)
    assert found is not None
    assert (found.low, found.value, found.high) == (steps, steps, steps)
    assert _time(-scores, 13, 25, rng) is None


def test_a_gain_that_may_be_none_takes_no_time() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 1, size=(4, 3, 50))
    scores[-1] += scores[0].mean() - scores[-1].mean() + 0.01
    assert _time(scores, 13, 25, rng) is None
    scores[-1] += 1.0
    assert _time(scores, 13, 25, rng) is not None


def test_changes_of_one_object_are_drawn_together() -> None:
    """Forty changes of four objects tell of other objects as four do."""
    rng = np.random.default_rng(0)
    objects = [i % 4 for i in range(40)]
    # one object gains nearly all there is to gain, at once; the others later
    first = np.array([[100.0 if x == 0 else 0.0 for x in objects]])
    points = {str(k): first + (k >= 3) for k in range(1, WINDOW + 1)}
    points |= dict.fromkeys(("rest", "before", "stale", "0"), np.zeros((1, 40)))
    points["rest"] = first
    during = first[:, None].repeat(25, 1)
    alone, together = (
        recovery(points, during, 13, 25, rng, x) for x in ([0] * 40, objects)
    )
    assert alone.steps is not None
    assert together.steps is not None
    assert alone.steps.low == alone.steps.high == together.steps.low == 13 + 25
    assert together.steps.high > alone.steps.high
    widths = [x.rest.high - x.rest.low for x in (alone, together)]
    assert widths[1] > 2 * widths[0]


def test_every_method_is_measured_on_the_same_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def tuned(dr: Sequence[Trained], *_: object) -> tuple[list[Trained], list[Trained]]:
        return list(dr), []

    monkeypatch.setattr(change, "tuned", tuned)
    policies = [load_trained("shipped:reach-rotated")]
    groups = {m: [load_trained(f"shipped:reach-rotated-{m}")] for m in ("dr", "oracle")}
    found = recoveries(policies, groups, EvaluationCfg(tasks=12, threads=1))
    maml, dr, oracle = (found.methods[n] for n in ("maml", "dr", "oracle"))
    # who does not adapt is on B what it is; who is told of the change knows at once
    assert {x.value for x in dr.after} == {dr.stale.value}
    assert oracle.rest.value > maml.rest.value
    assert maml.before.value > maml.stale.value + 0.2
    assert maml.after[-1].value > maml.stale.value + 0.2
    assert dr.steps is None
    assert maml.steps is not None
    assert found.to_dict()["horizon"] == 25


def test_a_team_is_measured_as_a_robot_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change costs what adapting had gained, and the intervals count teams."""
    monkeypatch.setattr(change, "tuned", lambda dr, *_: (list(dr), []))
    policies = [load_trained("shipped:shove-explore")]
    groups = {m: [load_trained(f"shipped:shove-{m}")] for m in ("dr-memory", "oracle")}
    cfg = EvaluationCfg(tasks=12, threads=1)
    found = recoveries(policies, groups, cfg)
    assert found.objects == 6
    adapts, oracle = found.methods["explore"], found.methods["oracle"]
    assert oracle.before.value > adapts.before.value - 0.1
    assert adapts.before.value > adapts.stale.value + 0.1
    assert adapts.after[-1].value > adapts.stale.value + 0.1
