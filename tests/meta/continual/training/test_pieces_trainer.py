"""Runs of pieces: resumed they are as they would have been, and PackNet keeps bits."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from meta.continual.training.packnet import FREE, PackNet
from meta.continual.training.trainer import PiecesTrainer
from meta.experience.rollout import Experience
from meta.learners.maml import Maml
from meta.recipes.registry import make_config
from meta.registry import MEMORIES
from meta.theta import Theta, group
from meta.training.build import make_training
from meta.training.checkpoint import resume_trainer, save_checkpoint
from meta.training.config import TrainCfg
from meta.training.trained import CHECKPOINT, load_trained
from policies.gaussian import Gaussian
from tasks.manipulation.open import Open

PIECES = ("mechanism=drawer", "mechanism=slide-left|push-in", "mechanism=door-right")
FIRST, LAST = "piece0/return", "piece2/return"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Open, "horizon", 3)


def config(remember: str = "nothing", method: str = "oracle", **other: Any) -> TrainCfg:
    cfg = make_config("open", method)
    few = replace(cfg.learner, adapt_episodes=(), epochs=3) if method != "rma" else None
    own = {
        "learner": few or replace(cfg.learner, replay=0),
        "iterations": 10,
        "tasks": 3,
        "episodes": 2 if few else 5,
        "measure_rounds": 1,
        "hidden": (6,),
        "threads": 1,
        "pieces": PIECES,
        "remember": remember,
    }
    return replace(cfg, **own | other)


def begun(cfg: TrainCfg) -> PiecesTrainer:
    trainer = make_training(cfg)
    assert isinstance(trainer, PiecesTrainer)
    return trainer


def run(trainer: PiecesTrainer, until: int) -> list[dict[str, float]]:
    return [trainer.step() for _ in range(until - trainer.iteration)]


def assert_equal(a: Theta, b: Theta) -> None:
    assert set(a) == set(b)
    for name, value in a.items():
        assert torch.equal(value, b[name]), name


KINDS = [(name, "oracle") for name in MEMORIES]
ADAPTING = [("ewc", "maml"), ("packnet", "maml"), ("cloning", "maml")]
WINDOWED = [("cloning", "dr-memory"), ("nothing", "rma")]


@pytest.mark.parametrize(("remember", "method"), KINDS + ADAPTING + WINDOWED)
def test_a_run_stopped_in_mid_piece_goes_on_bit_for_bit(
    tmp_path: Path, remember: str, method: str
) -> None:
    # of three pieces of two iterations each, the second one is under way
    trainer = begun(config(remember, method, iterations=7))
    run(trainer, 4)
    save_checkpoint(tmp_path / CHECKPOINT, trainer)
    rows = run(trainer, 7)
    again = resume_trainer(tmp_path / CHECKPOINT)
    assert isinstance(again, PiecesTrainer)
    assert run(again, 7) == rows
    assert_equal(again.theta, trainer.theta)
    assert_equal(again.memory, trainer.memory)


@pytest.mark.parametrize("at", [1, 4])
def test_so_does_one_stopped_after_the_scales_or_between_pieces(
    tmp_path: Path, at: int
) -> None:
    trainer = begun(config("ewc"))
    run(trainer, at)
    save_checkpoint(tmp_path / CHECKPOINT, trainer)
    row = trainer.step()
    again = resume_trainer(tmp_path / CHECKPOINT)
    assert again.step() == row
    assert_equal(again.theta, trainer.theta)


def test_an_adapter_that_would_remember_every_piece_is_refused() -> None:
    for method in ("rma", "explore"):
        own = {"learner": make_config("open", method).learner, "episodes": 5}
        with pytest.raises(ValueError, match="in pieces, replay must be 0"):
            begun(replace(config(), method=method, **own))


def test_packnet_keeps_every_bit_of_what_a_piece_had() -> None:
    trainer = begun(config("packnet"))
    rows = run(trainer, 4)
    memory = trainer.remembers
    assert isinstance(memory, PackNet)
    ended = memory.recalled(trainer.memory, trainer.theta, 0)
    trained = [k for k, v in trainer.theta.items() if v.requires_grad]
    before = {k: ended[k].detach().clone() for k in trained}
    owners = {k: v.clone() for k, v in group(trainer.memory, "owner").items()}
    later = run(trainer, 10)
    again = memory.recalled(trainer.memory, trainer.theta, 0)
    assert_equal({k: again[k] for k in trained}, before)
    for name, owner in owners.items():
        mine = owner == 0
        # a third of each matrix, in use with the very values
        assert int(mine.sum()) == round(owner.numel() / 3)
        assert torch.equal(trainer.theta[name][mine], before[name][mine])
        assert bool((trainer.theta[name][~mine] != before[name][~mine]).all())
        assert torch.equal((group(trainer.memory, "owner")[name] == 0), mine)
        assert not bool((group(trainer.memory, "owner")[name] == FREE).any())
    # it therefore acts as when the piece ended, to the last digit
    all_of_it = [r for r in (*rows, *later) if {FIRST, LAST} <= set(r)]
    measured = [r[FIRST] for r in all_of_it]
    assert len(measured) == 4
    assert len(set(measured[1:])) == 1


def test_packnet_trains_pruned_and_frozen_weights_no_more() -> None:
    trainer = begun(config("packnet", hold=0.7))
    run(trainer, 3)  # the second of three iterations trains on what is left
    assert bool(trainer.memory["pruned"])
    owners = group(trainer.memory, "owner")
    for name, owner in owners.items():
        assert bool((trainer.theta[name][owner == FREE] == 0).all())
        assert bool((trainer.theta[name][owner == 0] != 0).all())


def test_scales_are_settled_by_the_first_iteration() -> None:
    trainer = begun(config())
    initial = {k: v.detach().clone() for k, v in trainer.theta.items()}
    trainer.step()
    trained = [k for k, v in trainer.theta.items() if v.requires_grad]
    assert all(torch.equal(trainer.theta[k], initial[k]) for k in trained)
    assert trainer.theta["moments/count"] > 0
    scales = {k: v.clone() for k, v in group(trainer.theta, "moments").items()}
    run(trainer, 5)
    assert_equal(group(trainer.theta, "moments"), scales)
    assert any(not torch.equal(trainer.theta[k], initial[k]) for k in trained)


def test_tasks_come_from_the_piece_under_way() -> None:
    trainer = begun(config())
    seen: list[set[str]] = []
    for _ in range(10):
        tasks = trainer.draw(trainer.iteration)
        seen.append({str(t.parameters["mechanism"]) for t in tasks})
        trainer.iteration += 1
    assert all(s == {"drawer"} for s in seen[1:4])
    assert set().union(*seen[4:7]) == {"slide-left", "push-in"}
    assert all(s == {"door-right"} for s in seen[7:])


def test_what_is_held_on_to_moves_less() -> None:
    away: dict[str, float] = {}
    for name, hold in (("nothing", 0.0), ("ewc", 1e6), ("cloning", 1e3)):
        trainer = begun(config(name, hold=hold))
        run(trainer, 4)
        bias = "policy/mean.2.bias"
        before = trainer.theta[bias].detach().clone()
        run(trainer, 7)
        away[name] = (trainer.theta[bias].detach() - before).norm().item()
    assert away["ewc"] < 0.5 * away["nothing"]
    assert away["cloning"] < 0.9 * away["nothing"]


def test_a_critic_s_steps_are_not_pulled_to_what_is_remembered() -> None:
    """They would move the policy, which PPO's bound has done with."""
    cfg = config("cloning", hold=1e3)
    learner = replace(cfg.learner, outer_baseline="network")
    trainer = begun(replace(cfg, learner=learner))
    run(trainer, 5)
    policy = [v for k, v in trainer.theta.items() if k.startswith("policy/")]
    trainer._loss = lambda: torch.stack([v.square().sum() for v in policy]).sum()
    rng = torch.Generator().manual_seed(0)
    obs = torch.randn(3, 2, 4, trainer.env.obs_dim, generator=rng)
    action = torch.randn(3, 2, 4, trainer.env.family.action_dim, generator=rng)
    old, reward = Gaussian(action, torch.zeros_like(action)), obs[..., 0]
    e = Experience(obs, obs, action, old, reward, torch.ones_like(reward))
    before = {k: v.detach().clone() for k, v in trainer.theta.items()}
    assert isinstance(trainer.learner, Maml)
    assert trainer.learner.critic
    trainer.learner.critic.fit(trainer.theta, trainer.optimizer, [(obs, e)])
    moved = {k for k, v in trainer.theta.items() if not torch.equal(v, before[k])}
    assert {k.split("/")[0] for k in moved} == {"critic", "worth"}


def test_a_piece_begins_with_a_fresh_optimiser_and_spread() -> None:
    trainer = begun(config(initial_std=0.7))
    run(trainer, 4)
    steps = [int(s["step"]) for s in trainer.optimizer.state.values()]
    assert max(steps) <= 9
    trainer.step()
    steps = [int(s["step"]) for s in trainer.optimizer.state.values()]
    assert max(steps) <= 3
    std = trainer.theta["policy/log_std"].exp()
    assert torch.allclose(std, torch.tensor(0.7), atol=0.05)


def test_a_run_of_pieces_is_loaded_as_any_other(tmp_path: Path) -> None:
    trainer = begun(config("cloning"))
    run(trainer, 5)
    save_checkpoint(tmp_path / CHECKPOINT, trainer)
    policy = load_trained(str(tmp_path))
    assert policy.cfg.pieces == PIECES
    assert_equal(policy.theta, trainer.theta)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--remember", "ewc"), "remember and hold are about pieces"),
        (("--pieces", "mechanism/3", "--remember", "all"), "unknown way to remember"),
        (("--pieces", "speed/3"), "cannot be cut into speed/3"),
        (
            ("--pieces", "mechanism/8", "--iterations", "8"),
            "8 pieces need at least 9 iterations",
        ),
        (("--pieces", "mechanism/2", "--method", "dr-sb3"), "learn in pieces"),
        (
            ("--pieces", "mechanism/2", "--method", "rl2", "--remember", "ewc"),
            "rl2 cannot remember by ewc",
        ),
        (
            ("--pieces", "mechanism/2", "--remember", "replay", "--hold", "2"),
            "hold of replay is at most 1",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_in_a_line(
    tmp_path: Path, options: tuple[str, ...], complaint: str
) -> None:
    from pliant.cli.train import run_train

    with pytest.raises(ValueError, match=complaint):
        run_train(["open", "--out", str(tmp_path / "run"), *options])
    assert not (tmp_path / "run").exists()
