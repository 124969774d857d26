"""Methods by name: ours, and a learner in a user's own file."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pliant
from meta.learner import Learner
from meta.recipes.registry import make_config
from meta.registry import DEFAULT, METHODS, find_method
from meta.training.build import make_learner, make_trainer, sizes_of
from meta.training.config import replaced
from tasks.named import imported
from tasks.registry import FAMILIES, make_env, make_family

THEIRS = '''
"""A learner of somebody else's: the mean action moves towards what earned more."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from meta.learners.maml import Maml
from meta.learners.maml_cfg import MamlCfg
from policies.gaussian import Gaussian


@dataclass(frozen=True, kw_only=True)
class OffsetCfg:
    inner_steps: int = 1
    adapt_episodes: tuple[int, ...] = ()
    rate: float = 1e-3
    step: float = 0.1
    """How far a standardised return moves the mean."""


class Offset:
    title: ClassVar[str] = "offset of actions"
    settings: ClassVar[type] = OffsetCfg

    @classmethod
    def build(cls, settings, network, sizes, rng):
        base = Maml.build(MamlCfg(inner_steps=0, epochs=2), network, sizes, rng)
        return cls(settings, base, sizes.action)

    def __init__(self, cfg, base, actions):
        self.cfg, self.base, self.actions = cfg, base, actions
        self.inner_steps = cfg.inner_steps

    def stage(self, progress):
        return self, 1 - progress

    def initial(self, obs_dim):
        return self.base.initial(obs_dim)

    def trainable(self, theta):
        return self.base.trainable(theta)

    def begin(self, theta, tasks):
        return {"offset": torch.zeros(tasks, self.actions)}

    def act(self, theta, adaptation):
        offset = adaptation["offset"]
        plain = self.base.act(theta, self.base.begin(theta, len(offset)))

        def act(obs):
            mean, log_std = plain(obs)
            each = len(obs) // len(offset)
            return Gaussian(mean + offset.repeat_interleave(each, 0), log_std)

        return act

    def adapt(self, theta, adaptation, experience):
        returns = (experience.reward * experience.valid).sum(-1)
        better = (returns - returns.mean(1, keepdim=True)) / (returns.std() + 1e-6)
        noise = (experience.action - experience.old.mean).mean(2)
        move = self.cfg.step * (better[..., None] * noise).mean(1)
        return {"offset": adaptation["offset"] + move}

    def update(self, theta, optimizer, experiences):
        return self.base.update(theta, optimizer, experiences[-1:])
'''


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "their_learner.py").write_text(THEIRS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "their_learner:Offset"
    sys.modules.pop("their_learner", None)


@pytest.mark.parametrize("name", METHODS)
def test_every_entry_names_what_there_is(name: str) -> None:
    method = find_method(name)
    learner = imported(method.learner)
    cfg = make_config("strike", name)
    assert type(cfg.learner) is imported(method.settings) is learner.settings
    assert isinstance(make_learner(cfg), Learner)
    assert callable(imported(method.trainer).step)


def test_titles_colours_and_rows_are_told_apart() -> None:
    for field in ("title", "colour", "row"):
        assert len({getattr(m, field) for m in METHODS.values()}) == len(METHODS)


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_are_those_of_the_worlds(family: str) -> None:
    sizes = sizes_of(family)
    for hidden in (False, True):
        made = make_family(family)
        env = make_env(made, worlds=made.team, oracle=hidden, threads=1)
        assert env.obs_dim == sizes.obs + hidden * sizes.hidden
        assert env.action_dim == sizes.action


@pytest.mark.usefixtures("few_tuning_tasks")
def test_a_users_learner_trains_evaluates_and_reports(
    theirs: str, tmp_path: Path
) -> None:
    """Without any edit of ours, from its settings to a report with its name."""
    from pliant.cli.main import main

    small = {"iterations": 2, "tasks": 2, "threads": 1, "hidden": (4,), "step": 0.5}
    trained = pliant.train("reach-rotated", theirs, out=tmp_path / "run", **small)
    assert (trained.cfg.method, trained.cfg.learner.step) == (theirs, 0.5)
    env = pliant.make_env("reach-rotated", worlds=4, tasks=2, threads=1)
    adapted = trained.adapt(env)
    assert adapted.adaptation["offset"].abs().max() > 0
    assert main(["train", "reach-rotated", "--method", theirs, "--help"]) == 0
    report = tmp_path / "report"
    arguments = ["--tasks", "2", "--episodes", "0,1", "--alone", "--threads", "1"]
    arguments += ["--report", str(report), "--json", str(tmp_path / "result.json")]
    arguments += ["--method", theirs]
    assert main(["evaluate", str(tmp_path / "run"), *arguments]) == 0
    text = (report / "report.md").read_text()
    assert "offset of actions" in text
    assert "oracle" in text


def test_every_method_takes_as_many_env_steps_an_iteration(theirs: str) -> None:
    small = {"tasks": 2, "episodes": 5, "threads": 1, "hidden": (4,)}
    steps: set[int] = set()
    for method in (DEFAULT, "rma", theirs):
        trainer = make_trainer(replaced(make_config("reach-rotated", method), small))
        trainer.step()
        steps.add(trainer.env_steps)
    assert len(steps) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mamml", "unknown method 'mamml'; methods: maml"),
        ("their_learner:Missing", "cannot be imported"),
        ("nowhere:Learner", "cannot be imported"),
        ("their_learner:OffsetCfg", "is no learner .*: it lacks title, settings"),
    ],
)
def test_what_is_no_method_is_refused(theirs: str, name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        find_method(name)


def test_settings_are_replaced_by_name_wherever_they_stand() -> None:
    cfg = replaced(make_config("strike", "rma"), {"epochs": 3, "latent": 2, "seed": 5})
    assert cfg.learner.teacher.epochs == 3
    assert (cfg.learner.latent, cfg.seed) == (2, 5)
    with pytest.raises(ValueError, match="has no setting 'epoch': did you mean"):
        replaced(cfg, {"epoch": 3})


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("where: object = Path('x')", "setting 'where' of .* cannot be stored as JSON"),
        ("items: object = (Path('x'),)", "setting 'items' of .* cannot be stored"),
        ("hidden: int = 3", "has two settings named hidden"),
        ("pairs: tuple = ((1, 2),)", "are not the same when they are read again"),
        ("needed: int", "need a default for every field"),
    ],
)
def test_settings_that_could_not_be_read_again_are_refused(
    theirs: str, tmp_path: Path, field: str, said: str
) -> None:
    text = THEIRS.replace("    step: float", f"    {field}\n    step: float")
    (tmp_path / "their_learner.py").write_text(f"from pathlib import Path\n{text}")
    with pytest.raises(ValueError, match=said):
        make_config("reach-rotated", theirs)


def test_settings_without_what_the_loop_reads_are_refused(
    theirs: str, tmp_path: Path
) -> None:
    text = THEIRS.replace("    inner_steps: int = 1\n", "")
    (tmp_path / "their_learner.py").write_text(text)
    with pytest.raises(ValueError, match="lack inner_steps"):
        make_config("reach-rotated", theirs)


@pytest.mark.parametrize("body", ["def broken(:", "raise RuntimeError('no')"])
def test_a_module_that_cannot_be_imported_is_one_error(
    theirs: str, tmp_path: Path, body: str
) -> None:
    (tmp_path / "their_learner.py").write_text(f"{body}\n")
    with pytest.raises(ValueError, match="cannot be imported"):
        find_method(theirs)
