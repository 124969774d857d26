"""The training loop: what it collects; the same seed gives the same numbers."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import mujoco
import pytest
import torch
from torch import Tensor

from meta.experience.rollout import Rollout, by_task, collect, concatenate
from meta.learners.finetune import FineTune
from meta.learners.maml import Maml
from meta.learners.maml_cfg import MamlCfg
from meta.recipes.registry import make_config
from meta.registry import METHODS
from meta.training.build import make_trainer, make_training
from meta.training.config import TrainCfg, _check_whole
from meta.training.trainer import Trainer
from policies.gaussian import Gaussian
from tasks.contract import Values
from tasks.env import Env
from tasks.family import Family, Instant, Outcome
from tasks.locomotion.cheetah_direction import CheetahDirection
from tasks.parameters import Scalar
from tasks.registry import FAMILIES

GOLDEN = Path(__file__).parent / "golden"
WRITE = "PLIANT_WRITE_GOLDEN"
ITERATIONS = 3
TRIALS = ("rl2", "rl2-transformer")
"""Methods whose worlds live a whole trial each."""
TINY = TrainCfg(
    family="cheetah-direction",
    method="maml",
    iterations=ITERATIONS,
    tasks=3,
    episodes=12,
    hidden=(8,),
    seed=5,
    threads=1,
)
LEARNERS = {
    "maml": MamlCfg(inner_steps=2),
    "maml-few": MamlCfg(
        learned_advantage=True,
        inner_baseline="pooled",
        adapt_episodes=(8, 12),
    ),
    "ppo": MamlCfg(inner_steps=0),
}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes that end before contacts make rounding errors other trajectories."""
    monkeypatch.setattr(CheetahDirection, "horizon", 8)


def run(
    cfg: TrainCfg, iterations: int = ITERATIONS
) -> tuple[Trainer, list[dict[str, float]]]:
    trainer = make_trainer(cfg)
    return trainer, [trainer.step() for _ in range(iterations)]


# -- same seed, same numbers ---------------------------------------------------------


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("name", LEARNERS)
def test_golden_run(name: str) -> None:
    """A change that moves these numbers is not a refactoring.

    If it is meant to move them, run the test with PLIANT_WRITE_GOLDEN=1 in the
    environment. Rounding, which differs between processors, moves them by about
    1e-5.
    """
    trainer, metrics = run(replace(TINY, learner=LEARNERS[name]))
    norms = {k: v.double().norm().item() for k, v in trainer.theta.items()}
    file = GOLDEN / f"{name}.json"
    if os.environ.get(WRITE):
        file.write_text(
            json.dumps({"metrics": metrics, "norms": norms}, indent=1) + "\n"
        )
    expected = json.loads(file.read_text())
    for i, (row, wanted) in enumerate(zip(metrics, expected["metrics"], strict=True)):
        assert row == pytest.approx(wanted, rel=1e-4, abs=1e-6), f"iteration {i}"
    assert norms == pytest.approx(expected["norms"], rel=1e-4, abs=1e-6)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("threads", [1, 2])
def test_same_seed_same_numbers_at_any_thread_count(threads: int) -> None:
    first, again = run(TINY), run(replace(TINY, threads=threads))
    assert first[1] == again[1]
    for name, value in first[0].theta.items():
        assert torch.equal(value, again[0].theta[name]), name


@pytest.mark.usefixtures("short")
def test_another_seed_gives_other_numbers() -> None:
    (_, one), (_, other) = run(TINY, 1), run(replace(TINY, seed=6), 1)
    assert one[0]["return_pre"] != other[0]["return_pre"]


@pytest.mark.usefixtures("short")
def test_numbers_do_not_depend_on_the_global_generators() -> None:
    torch.manual_seed(0)
    _, one = run(TINY, 1)
    torch.manual_seed(1)
    torch.randn(7)
    _, other = run(TINY, 1)
    assert one == other


@pytest.mark.usefixtures("short")
def test_a_continued_run_is_the_run_that_was_never_interrupted() -> None:
    whole, metrics = run(TINY)
    first, _ = run(TINY, 1)
    second = make_trainer(TINY)
    with torch.no_grad():
        for name, value in first.theta.items():
            second.theta[name].copy_(value)
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.iteration, second.env_steps = first.iteration, first.env_steps
    rest = [second.step() for _ in range(ITERATIONS - 1)]
    assert rest == metrics[1:]
    for name, value in whole.theta.items():
        assert torch.equal(value, second.theta[name]), name


def test_a_learner_with_nothing_to_train_is_refused() -> None:
    whole = make_trainer(replace(make_config("reach-rotated"), tasks=2, threads=1))
    assert isinstance(whole.learner, Maml)
    fixed = FineTune(whole.learner, rate=0.1)
    with pytest.raises(ValueError, match="'maml' has nothing to train"):
        Trainer(whole.cfg, whole.env, fixed)


# -- what an iteration costs and reports ---------------------------------------------


@pytest.mark.parametrize("family", ["cheetah-direction", "open", "strike"])
def test_all_methods_take_equal_env_steps(family: str) -> None:
    steps, lived = dict[str, float](), dict[str, int]()
    horizon = FAMILIES[family].horizon  # pyright: ignore[reportFunctionMemberAccess]
    for method in METHODS:
        cfg = make_config(family, method)
        lived[method] = cfg.worlds * cfg.phases
        cfg = replace(cfg, tasks=2, episodes=5, threads=1, hidden=(4,))
        trainer = make_training(cfg)
        metrics = trainer.step()
        steps[method] = metrics["env_steps"] / cfg.phases
        assert all(torch.tensor(v).isfinite() for v in metrics.values())
        assert metrics["faults"] == 0
        assert trainer.iteration == 1
        assert trainer.env_steps == metrics["env_steps"]
        adapts = method != "oracle" and not method.startswith("dr")
        assert (make_trainer(cfg).learner.inner_steps > 0) == adapts
    cfg = make_config(family)
    assert cfg.phases == cfg.learner.inner_steps + cfg.measure_rounds
    assert steps == dict.fromkeys(METHODS, 2 * 5 * horizon)
    assert lived == dict.fromkeys(METHODS, cfg.worlds * cfg.phases)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_has_configurations(family: str) -> None:
    every = [make_config(family, method) for method in METHODS]
    assert len({c.worlds * c.phases for c in every}) == 1
    assert len({(c.worlds, c.phases) for c in every if c.method not in TRIALS}) == 1
    maml, dr, oracle = (make_config(family, m) for m in ("maml", "dr", "oracle"))
    assert maml.learner.inner_steps > 0
    assert dr == replace(oracle, method="dr", iterations=dr.iterations)
    assert (dr.worlds, dr.iterations) == (maml.worlds, maml.iterations)


@pytest.mark.usefixtures("short")
def test_each_iteration_trains_on_new_tasks_and_changes_what_is_learned() -> None:
    cfg = replace(TINY, tasks=6, episodes=2)
    trainer = make_trainer(cfg)
    seen: set[tuple[str, ...]] = set()
    before = {k: v.detach().clone() for k, v in trainer.theta.items()}
    for _ in range(3):
        trainer.step()
        seen.add(tuple(t.hash for t in trainer.env.tasks))
        hashes = [t.hash for t in trainer.env.tasks]
        assert hashes[::2] == hashes[1::2]  # the episodes of a task lie together
    assert len(seen) == 3
    for name, value in trainer.theta.items():
        assert not torch.equal(value, before[name]), name


@pytest.mark.usefixtures("short")
def test_the_step_size_falls_to_zero_over_the_run() -> None:
    trainer = make_trainer(replace(TINY, learner=MamlCfg(rate=0.3), iterations=3))
    rates: list[float] = []
    for _ in range(5):
        trainer.step()
        rates.append(trainer.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.3, 0.2, 0.1, 0.0, 0.0])


@dataclass
class Counts:
    number: int = 1
    widths: tuple[int, ...] = (1, 2)
    share: float = 1
    inner: object = None


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (Counts(number=3.0), "number"),  # pyright: ignore
        (Counts(number=True), "number"),
        (Counts(widths=(1, 2.0)), "widths"),  # pyright: ignore
        (Counts(inner=Counts(number=1.5)), "number"),  # pyright: ignore
    ],
)
def test_other_numbers_than_whole_ones_are_refused(wrong: Counts, name: str) -> None:
    """A run that is trained with them could not be loaded."""
    _check_whole(Counts())
    with pytest.raises(ValueError, match=rf"{name} must be of whole Python ints, got"):
        _check_whole(wrong)


def test_wrong_configurations_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown family 'strik'; families: "):
        replace(TINY, family="strik")
    with pytest.raises(ValueError, match="need 1 <= tasks <= 1,048,576, got 0"):
        replace(TINY, tasks=0)
    with pytest.raises(ValueError, match="cannot adapt on 13 episodes when 12 are"):
        replace(TINY, learner=MamlCfg(adapt_episodes=(1, 13)))
    few = replace(TINY, episodes=1, learner=MamlCfg())
    with pytest.raises(ValueError, match=r"when 1 are .*\(--adapt-episodes 1\)$"):
        replace(few, learner=MamlCfg(adapt_episodes=(2,)))
    with pytest.raises(
        ValueError, match=r"the settings of maml, MamlCfg\(\.\.\.\), got {'r"
    ):
        replace(TINY, learner={"rate": 0.1})
    with pytest.raises(
        ValueError, match=r"the settings of rma, RmaCfg\(\.\.\.\), got Maml"
    ):
        replace(TINY, method="rma")
    with pytest.raises(ValueError, match=r"need 0 <= seed < .*, got -1"):
        replace(TINY, seed=-1)
    with pytest.raises(ValueError, match="unknown family 'strik'"):
        make_config("strik")


# -- collecting, on a family whose episodes end when they like -------------------------

LIMIT = 1.0


class Cart(Family):
    """A cart that moves a hidden distance per step and falls off at 1 m."""

    name = "cart"
    summary = "move until you fall"
    horizon = 8
    substeps = 1
    obs_dim = 2
    action_dim = 1
    parameters = (Scalar(name="speed", unit="m/s", low=0.0, high=1.0),)
    fields = ()
    weights: ClassVar[Mapping[str, float]] = {"place": 1.0}

    def compile(self) -> mujoco.MjModel:
        return mujoco.MjModel.from_xml_string("""
        <mujoco>
          <option timestep="1" gravity="0 0 0"/>
          <worldbody><body><joint name="x" type="slide" axis="1 0 0"/>
            <geom size="0.1" contype="0" conaffinity="0"/></body></worldbody>
          <actuator><motor joint="x"/></actuator>
        </mujoco>""")

    def model_fields(self, values: Values) -> Mapping[str, Tensor]:
        return {}

    def start(self, values: Values, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        speed = values["speed"][:, None]
        return torch.zeros_like(speed), speed.clone()

    def control(self, now: Instant, action: Tensor) -> Tensor:
        return 0.0 * action

    def observe(self, now: Instant) -> Tensor:
        return torch.stack([now.readings.qpos[:, 0], now.progress], dim=-1)

    def judge(self, before: Instant, now: Instant, action: Tensor) -> Outcome:
        x = now.readings.qpos[:, 0]
        return Outcome(
            terms={"place": x}, success=x > LIMIT, terminated=x > LIMIT - 1e-6
        )


def make_carts(*speeds: float) -> Env:
    family = Cart()
    env = Env(family, worlds=len(speeds), threads=1)
    task = family.sample("train", 0, 1)[0]
    env.assign([replace(task, parameters={"speed": s}) for s in speeds])
    return env


def act(obs: Tensor) -> Gaussian:
    """A mean that depends on the observation, and a spread that does not."""
    return Gaussian(0.1 * obs[:, :1], torch.full((len(obs), 1), -1.0))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_collecting_marks_steps_up_to_the_episodes_end() -> None:
    # at 0.5 m/s it falls in step 2, at 0.3 in step 4, at 0.1 (8 steps) never
    rollout = collect(make_carts(0.5, 0.3, 0.1), act, seeded())
    assert rollout.valid.sum(0).tolist() == [2, 4, 8]
    assert rollout.valid[:2].all()
    # returns count valid steps alone: 0.5 + 1;  0.3 + 0.6 + 0.9 + 1.2;  0.1 * 36
    torch.testing.assert_close(rollout.returns, torch.tensor([1.5, 3.0, 3.6]))
    # at the end: 1.0 is not beyond 1 m, 1.2 is
    assert rollout.success.tolist() == [False, True, False]
    assert not rollout.fault.any()
    assert rollout.env_steps == 3 * Cart.horizon


def test_collecting_pairs_observations_actions_and_distributions() -> None:
    rollout = collect(make_carts(0.1, 0.05), act, seeded())
    assert torch.equal(rollout.obs[1:], rollout.next_obs[:-1])
    assert torch.equal(rollout.mean, 0.1 * rollout.obs[..., :1])
    assert rollout.log_std is not None
    torch.testing.assert_close(rollout.log_std, torch.full((8, 2, 1), -1.0))
    torch.testing.assert_close(rollout.reward, rollout.next_obs[..., 0])
    scaled = (rollout.action - rollout.mean) / rollout.log_std.exp()
    assert 0.3 < scaled.std() < 3
    assert scaled.unique().numel() == 16
    means = collect(make_carts(0.1, 0.05), act, seeded(), explore=False)
    assert torch.equal(means.action, means.mean)


def test_a_fault_is_remembered_and_ends_its_episode() -> None:
    def wild(obs: Tensor) -> Gaussian:
        late = (obs[:, 1:] > 0.3) & (torch.arange(2)[:, None] == 1)
        return Gaussian(torch.where(late, torch.nan, 0.0), torch.full((2, 1), -1.0))

    class Driven(Cart):
        def control(self, now: Instant, action: Tensor) -> Tensor:
            return action

    family = Driven()
    env = Env(family, worlds=2, threads=1)
    env.assign(family.sample("train", 0, 1) * 2)
    rollout = collect(env, wild, seeded())
    assert rollout.fault.tolist() == [False, True]
    assert rollout.valid[:, 1].sum() == 4  # progress 3/8 is reached after three steps


def number(time: int, tasks: int, episodes: int, base: int = 0) -> Rollout:
    """A rollout whose rewards spell base + 100 task + 10 episode + time."""
    t = torch.arange(time)[:, None].float()
    world = torch.arange(tasks * episodes)
    reward = base + 100 * (world // episodes) + 10 * (world % episodes) + t
    column = reward[..., None]
    return Rollout(
        obs=column,
        next_obs=column,
        action=column,
        mean=column,
        log_std=column,
        reward=reward,
        valid=reward % 2 == 0,
        success=reward[0] % 20 == 0,
        fault=reward[0] < 0,
    )


def test_experience_is_laid_out_by_task_episode_and_time() -> None:
    e = by_task(number(4, 3, 2), 3)
    assert e.reward.shape == (3, 2, 4)
    assert e.reward[2, 1, 3] == 213
    assert e.obs[1, 0, 2].tolist() == [102]
    assert e.old.mean[0, 1, 0].tolist() == [10]
    assert torch.equal(e.valid, (e.reward % 2 == 0).float())


def test_joined_rollouts_keep_the_episodes_of_a_task_together() -> None:
    joined = concatenate([number(4, 3, 2), number(4, 3, 2, base=1000)], 3)
    e = by_task(joined, 3)
    assert e.reward[:, :, 0].tolist() == [
        [0, 10, 1000, 1010],
        [100, 110, 1100, 1110],
        [200, 210, 1200, 1210],
    ]
    assert torch.equal(joined.success, joined.reward[0] % 20 == 0)
    assert torch.equal(joined.valid, joined.reward % 2 == 0)
