"""The explorer: where it begins, what it learns from, and what it leaves alone."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from meta.experience.rollout import Experience, by_task, collect
from meta.learner import Sizes, exploring
from meta.learners.adapter import transitions
from meta.learners.explore import Explore, leave_one_out
from meta.learners.explore_cfg import ExploreCfg
from meta.learners.maml_cfg import MamlCfg
from meta.learners.ppo import Drawn, descend
from meta.learners.rma import Rma
from meta.learners.rma_cfg import RmaCfg
from meta.recipes.registry import make_config
from meta.theta import Theta
from meta.training.build import make_trainer
from meta.training.checkpoint import resume_trainer, save_checkpoint
from meta.training.config import replaced
from meta.training.trained import load_trained
from meta.training.trainer import Trainer
from policies.acting import Transition
from policies.distribution import Distribution, parts
from policies.mlp import PolicyCfg
from tasks.contract import Step
from tasks.task import Task

ADAPTER = {"summary", "head", "average", "history"}
TEACHER = MamlCfg(inner_steps=0, rate=0.02, epochs=6, adapt_episodes=(1, 2, 4))


class Curtain:
    """Worlds with a secret: an action above 0.4 shows it, and costs reward."""

    worlds, obs_dim, action_dim, horizon = 80, 2, 1, 3
    oracle, device, team = True, torch.device("cpu"), 1
    tasks: tuple[Task, ...] = ()

    @property
    def family(self) -> "Curtain":
        return self

    def sample(self, split: str, seed: int, count: int) -> list[Tensor]:
        signs = torch.rand(count, generator=seeded(seed % 2**31)) < 0.5
        return list(signs.float() * 2 - 1)

    def assign(self, tasks: Sequence[Tensor]) -> None:
        self.secret = torch.stack(list(tasks))

    def reset(self, rng: torch.Generator) -> Tensor:
        self.time = 0
        return self._observe(torch.zeros(self.worlds))

    def step(self, action: Tensor) -> Step:
        self.time += 1
        nothing = torch.zeros(self.worlds, dtype=torch.bool)
        return Step(
            obs=self._observe(self.secret * (action[:, 0] > 0.4)),
            reward=-action[:, 0].square(),
            terminated=nothing,
            truncated=nothing | (self.time == self.horizon),
            fault=nothing,
            success=nothing,
            terms={},
        )

    def _observe(self, shown: Tensor) -> Tensor:
        return torch.stack([shown, self.secret], dim=-1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def curtained(
    kind: type[Explore] | type[Rma] = Explore,
    iterations: int = 6,
    share: float = 0.5,
    latent: int = 2,
    sizes: Sizes = Sizes(1, 1, 1),  # noqa: B008  (a tuple)
    **changes: float,
) -> Trainer:
    """A run of three iterations of the teacher, one of the adapter, two of them all."""
    settings = RmaCfg(
        teacher=TEACHER,
        latent=latent,
        own_moments=True,
        averaging=0.5,
        teacher_share=share,
        regression_epochs=10,
    )
    if kind is Explore:
        settings = ExploreCfg(adapter=settings, **({"explore_after": 0.3} | changes))
    cfg = replace(
        make_config("reach-rotated", "explore" if kind is Explore else "rma"),
        learner=settings,
        tasks=20,
        episodes=4,
        iterations=iterations,
        measure_rounds=1,
    )
    network = PolicyCfg(hidden=(16,), initial_std=0.3)
    learner = kind.build(settings, network, sizes, seeded())  # pyright: ignore
    return Trainer(cfg, Curtain(), learner)  # pyright: ignore


def explorer(trainer: Trainer) -> Explore:
    assert isinstance(trainer.learner, Explore)
    return trainer.learner


def groups(theta: Theta) -> dict[str, Theta]:
    """Copies of theta's tensors by what learns them: decoder and encoder apart."""
    found: dict[str, Theta] = {}
    for name, value in theta.items():
        kind = name.split(".")[0] if name.startswith("policy/") else name.split("/")[0]
        found.setdefault(kind, {})[name] = value.detach().clone()
    return found


def moved(theta: Theta, before: dict[str, Theta]) -> set[str]:
    return {
        kind
        for kind, tensors in before.items()
        if any(not theta[name].equal(value) for name, value in tensors.items())
    }


# -- the seam ------------------------------------------------------------------------


def test_a_learner_without_an_explorer_explores_as_it_acts() -> None:
    trainer = curtained(Rma)
    learner, theta = trainer.learner, trainer.theta
    start, obs = learner.begin(theta, 3), torch.randn(9, 2)
    explored, acted = exploring(learner, theta, start), learner.act(theta, start)
    assert explored(obs).mode.equal(acted(obs).mode)


def test_the_explorer_begins_as_the_acting_policy() -> None:
    trainer = curtained(explorer_std=0.4)
    learner, theta = trainer.learner, trainer.theta
    memory = {"memory": torch.rand(3, explorer(trainer).adapter.history.width)}
    obs = torch.randn(9, 2)
    explored = exploring(learner, theta, memory)(obs).whole()
    assert explored.mode.equal(learner.act(theta, memory)(obs).mode)
    _, log_std = parts(explored)
    assert log_std is not None
    torch.testing.assert_close(log_std.exp(), torch.full_like(log_std, 0.4))


def test_training_adapts_on_what_the_explorer_did() -> None:
    """And measures what the acting policy does."""
    trainer = curtained(explorer_std=5.0)
    trainer.iteration = 5
    seen: list[float] = []
    learner = explorer(trainer)
    update = learner.update

    def spy(theta, optimizer, experiences):
        seen.extend(e.old.whole().std.mean().item() for e in experiences)
        return update(theta, optimizer, experiences)

    learner.update = spy  # pyright: ignore[reportAttributeAccessIssue]
    trainer.step()
    assert seen == pytest.approx([5.0, 0.3])


def test_choices_are_explored_too() -> None:
    """An action shows the secret by being the first choice of three."""
    trainer = curtained(sizes=Sizes(1, 1, 3, discrete=True))
    learner, theta = trainer.learner, trainer.theta
    start, obs = learner.begin(theta, 1), torch.randn(4, 2)
    for _ in range(6):
        explored, acted = exploring(learner, theta, start), learner.act(theta, start)
        same = parts(explored(obs))[0].equal(parts(acted(obs))[0])
        # until the last two iterations
        assert same == (trainer.iteration < 5)
        trainer.step()


# -- stages --------------------------------------------------------------------------


def test_the_teacher_is_that_of_rma_and_each_stage_changes_its_own() -> None:
    ours, theirs = curtained(), curtained(Rma)
    for _ in range(3):
        before = groups(ours.theta)
        ours.step()
        theirs.step()
        teacher = {"policy/decide", "policy/encoder", "moments", "baseline"}
        assert moved(ours.theta, before) == teacher
    for name, value in theirs.theta.items():
        assert ours.theta[name].equal(value), name
    for wanted in (ADAPTER, ADAPTER | {"explorer", "policy/decide"}):
        before = groups(ours.theta)
        ours.step()
        assert moved(ours.theta, before) == wanted


# -- what learns from what -----------------------------------------------------------


def experiences(trainer: Trainer) -> list[Experience]:
    learner, theta = trainer.learner, trainer.theta
    start = learner.begin(theta, 20)
    acts = (exploring(learner, theta, start), learner.act(theta, start))
    return [by_task(collect(trainer.env, a, seeded()), 20) for a in acts]


def halfway() -> Trainer:
    """A run in which all but the teacher have begun to learn."""
    trainer = curtained()
    for _ in range(5):
        trainer.step()
    return trainer


def looks(
    monkeypatch: pytest.MonkeyPatch, improve: str
) -> list[tuple[Distribution, Drawn]]:
    """The policy that steps of PPO would begin with, and what they would be given."""
    seen: list[tuple[Distribution, Drawn]] = []

    def look(cfg, optimizer, leaves, policy, drawn, rate) -> float:
        seen.append((policy(), drawn))
        return 0.0

    monkeypatch.setattr(improve, look)
    return seen


def test_each_part_is_moved_by_its_own_loss_alone() -> None:
    trainer = halfway()
    learner, theta, optimizer = explorer(trainer), trainer.theta, trainer.optimizer
    pre, post = experiences(trainer)
    before = groups(theta)
    told = learner._learn_to_explore(theta, optimizer, [pre, post])
    assert moved(theta, before) == {"explorer"}
    assert set(told) == {"told", "explorer_kl"}
    before = groups(theta)
    learner._tune(theta, optimizer, pre, post)
    assert moved(theta, before) == {"policy/decide"}
    before = groups(theta)
    learner.adapter.update(theta, optimizer, [pre, post])
    assert moved(theta, before) == ADAPTER


def test_the_acting_policy_is_tuned_on_the_latents_that_it_acted_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those that the adapting episodes had told, too."""
    trainer = halfway()
    learner, theta = explorer(trainer), trainer.theta
    pre, _ = experiences(trainer)
    adapted = learner.adapt(theta, learner.begin(theta, 20), pre)
    acted = collect(trainer.env, learner.act(theta, adapted), seeded())
    seen = looks(monkeypatch, "meta.learners.tuning.improve")
    learner._tune(theta, trainer.optimizer, pre, by_task(acted, 20))
    [(tuned, drawn)] = seen
    old = drawn.old.mode
    torch.testing.assert_close(tuned.mode, old)
    unadapted = learner.act(theta, learner.begin(theta, 20))
    obs = by_task(acted, 20).obs[:, :, 0].flatten(0, 1)
    assert not torch.allclose(unadapted(obs).mode, old[:, :, 0].flatten(0, 1))


def test_the_explorer_is_paid_for_what_the_rest_of_its_episode_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its last step, too: error before a step, less that of the whole episode."""
    trainer = halfway()
    learner, theta = explorer(trainer), trainer.theta
    adapter, lived = learner.adapter, experiences(trainer)
    memory = torch.zeros(20, 4, adapter.history.width)
    errors: list[Tensor] = []
    for t in range(4):
        latent = adapter.infer(theta, memory)[:, :, None]
        errors.append(adapter.error(theta, latent, lived)[..., 0].detach())
        if t < 3:
            step = Transition(*(x[:, :, t] for x in transitions(lived[0])))
            memory = adapter.history.add(memory, adapter.summarise(theta, step))
    wanted = leave_one_out(torch.stack(errors[:3], -1) - errors[3][..., None])
    seen = looks(monkeypatch, "meta.learners.explore.improve")
    learner._learn_to_explore(theta, trainer.optimizer, lived)
    assert wanted[..., -1].abs().max() > 1e-3
    [(_, drawn)] = seen
    scaled = wanted / wanted.square().mean().sqrt()
    torch.testing.assert_close(drawn.advantage, scaled)


def test_without_a_rate_the_acting_policy_stays_the_teachers() -> None:
    trainer = curtained(tuning_rate=0.0)
    trainer.iteration = 4
    before = groups(trainer.theta)
    metrics = trainer.step()
    assert "policy/decide" not in moved(trainer.theta, before)
    assert "tuning_kl" not in metrics


def test_the_baseline_is_the_mean_of_the_other_episodes() -> None:
    x = torch.randn(3, 4, 5, generator=seeded())
    found = leave_one_out(x)
    for task in range(3):
        for episode in range(4):
            others = [e for e in range(4) if e != episode]
            wanted = x[task, episode] - x[task, others].mean(0)
            torch.testing.assert_close(found[task, episode], wanted)
    alone = leave_one_out(x[:, :1])
    torch.testing.assert_close(alone[0, 0], x[0, 0] - x[1:, 0].mean(0))


def test_a_step_is_adams_own_at_a_multiple_of_the_step_size() -> None:
    ours = [torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)]
    theirs = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.Adam(ours, lr=0.1)
    reference = torch.optim.Adam([theirs], lr=0.1 * 0.25)
    for _ in range(3):
        loss = (ours[0] ** 3).sum() + (ours[1] ** 2).sum()
        descend(optimizer, ours[:1], loss, rate=0.25, max_norm=1.0)
        reference.zero_grad()
        (theirs**3).sum().backward()
        torch.nn.utils.clip_grad_norm_([theirs], 1.0)
        reference.step()
    assert ours[0].equal(theirs)
    assert ours[1].equal(torch.ones(3))
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_a_gradient_that_is_not_finite_is_refused() -> None:
    leaf = torch.zeros(1, requires_grad=True)
    optimizer, loss = torch.optim.Adam([leaf]), leaf.sqrt().sum()
    with pytest.raises(FloatingPointError, match="norm is"):
        descend(optimizer, [leaf], loss, rate=1.0, max_norm=1.0)


# -- files ---------------------------------------------------------------------------


def test_a_resumed_run_is_the_run_that_was_never_interrupted(tmp_path: Path) -> None:
    small = {"tasks": 3, "episodes": 3, "adapt_episodes": (1, 3), "hidden": (8,)}
    small |= {"iterations": 6, "epochs": 2, "regression_epochs": 2, "threads": 1}
    whole = make_trainer(replaced(make_config("reach-rotated", "explore"), small))
    for _ in range(5):
        whole.step()
    save_checkpoint(tmp_path / "checkpoint.safetensors", whole)
    resumed = resume_trainer(tmp_path / "checkpoint.safetensors")
    assert whole.step() == resumed.step()
    for name, value in whole.theta.items():
        assert resumed.theta[name].equal(value), name
    loaded = load_trained(str(tmp_path)).begin(3)
    obs = torch.randn(9, explorer(whole).adapter.policy.obs_dim)
    assert not loaded.explore(obs).mode.equal(loaded.act(obs).mode)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"explore_after": 1.0}, "need 0 <= explore_after < 1"),
        ({"explorer_rate": -0.1}, "explorer_rate >= 0"),
        ({"explorer_std": 0.0}, "need 1e-6 <= explorer_std <= 1e6, got 0.0"),
        ({"adapter": RmaCfg(forgets=True)}, "an adapter that remembers"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ExploreCfg(**changes)


# -- planted truth -------------------------------------------------------------------


def test_the_explorer_learns_the_action_that_tells_the_secret() -> None:
    """Although it costs, and the acting policy goes on without it."""
    trainer = curtained(iterations=20, share=0.1, latent=0, explore_after=0.2)
    metrics = [trainer.step() for _ in range(20)]
    # the secret is seen in the step after the curtain was lifted
    learner, theta, unseen = explorer(trainer), trainer.theta, torch.zeros(1, 2)
    start = learner.begin(theta, 1)
    assert learner.explore(theta, start)(unseen).mode.item() > 0.4
    assert abs(learner.act(theta, start)(unseen).mode.item()) < 0.25
    told = [m["told"] for m in metrics if "told" in m]
    assert told[-1] > 0.9 > told[0]
