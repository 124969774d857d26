"""The public interface: what it offers, and that it agrees with what lies below."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import pliant
from meta.training.trained import load_trained, shipped_policies
from tasks.contract import TaskFamily
from tasks.locomotion.ant_direction import AntDirection
from tasks.manipulation.reach_rotated import ReachRotated
from tasks.registry import FAMILIES


def test_every_public_name_can_be_had() -> None:
    names = dir(pliant)
    assert {"load", "make_env", "evaluate", "train", "record"} <= set(names)
    for name in names:
        assert getattr(pliant, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = pliant.lode  # pyright: ignore


def test_importing_it_imports_nothing_heavy() -> None:
    code = "import sys, pliant; sys.exit(bool({'torch', 'mujoco'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_names_are_those_of_the_registries() -> None:
    assert pliant.families() == list(FAMILIES)
    assert "shipped:open-dr-seed1" in pliant.policies("open", "dr")
    assert "shipped:open" not in pliant.policies("open", "dr")
    assert all(p.startswith("shipped:open") for p in pliant.policies("open"))
    assert len(pliant.policies()) == len(shipped_policies())
    with pytest.raises(ValueError, match="name the family whose dr"):
        pliant.policies(method="dr")


def test_adapting_is_what_the_learner_does() -> None:
    policy = pliant.load("shipped:reach-rotated")
    env = pliant.make_env("reach-rotated", worlds=6, tasks=3, seed=4, threads=1)
    assert len(set(t.hash for t in env.tasks)) == 3
    assert env.tasks[0] == env.tasks[1] != env.tasks[2]
    adapted = policy.adapt(env)
    assert adapted.tasks == 3
    before, after = policy.measure(env), adapted.measure(env)
    # from the same initial states
    assert torch.equal(before.obs[0], after.obs[0])
    assert after.returns.mean() > before.returns.mean()
    again = policy.adapt(env, seed=0).measure(env)
    assert torch.equal(again.action, after.action)
    other = policy.adapt(env, seed=1).measure(env)
    assert not torch.equal(other.action, after.action)


def test_a_policy_prints_as_one_line() -> None:
    policy = pliant.load("shipped:strike-dr-seed1")
    assert repr(policy) == (
        "<Trained 'shipped:strike-dr-seed1': dr on strike, seed 1, 2,400,000 env steps>"
    )
    assert repr(policy.begin(3)) == "<Adapted 'shipped:strike-dr-seed1': tasks 3>"


def test_what_does_not_adapt_stays_as_it_was() -> None:
    policy = pliant.load("shipped:reach-rotated-dr")
    env = pliant.make_env("reach-rotated", worlds=2, threads=1)
    assert torch.equal(
        policy.adapt(env).measure(env).action, policy.measure(env).action
    )


def test_worlds_that_are_not_grouped_by_task_are_refused() -> None:
    policy = pliant.load("shipped:reach-rotated")
    env = pliant.make_env("reach-rotated", worlds=3, tasks=3, threads=1)
    a, b, _ = env.tasks
    env.assign([a, a, b])
    with pytest.raises(ValueError, match="got groups of 2, 1"):
        policy.adapt(env)
    env.assign([a, a, a])
    with pytest.raises(ValueError, match="adapted to 2 tasks, and the worlds have 1"):
        policy.begin(2).measure(env)


def test_an_adapted_policy_is_measured_on_its_own_tasks_only() -> None:
    policy = pliant.load("shipped:reach-rotated")
    env = pliant.make_env("reach-rotated", worlds=4, tasks=2, threads=1)
    adapted = policy.adapt(env)
    adapted.measure(env)
    for others in (env.tasks[2:] + env.tasks[:2], env.family.sample("train", 9, 2)):
        env.assign([others[0]] * 2 + [others[-1]] * 2)
        with pytest.raises(ValueError, match="adapted to other tasks"):
            adapted.measure(env)


def test_worlds_that_a_policy_cannot_act_in_are_refused() -> None:
    policy = pliant.load("shipped:reach-rotated")
    told = pliant.load("shipped:reach-rotated-oracle")
    other = pliant.make_env("cheetah-direction", worlds=1, threads=1)
    seeing = pliant.make_env("reach-rotated", worlds=1, hidden=True, threads=1)
    blind = pliant.make_env("reach-rotated", worlds=1, threads=1)
    for one, env, said in (
        (policy, other, "is a policy for reach-rotated, and the worlds are of cheetah"),
        (policy, seeing, "do not observe the hidden parameters: .* hidden=False"),
        (told, blind, "that observe the hidden parameters: .* hidden=True"),
    ):
        for act in (one.adapt, one.measure):
            with pytest.raises(ValueError, match=said):
                act(env)
    assert told.measure(seeing).returns.isfinite().all()


def test_loading_builds_no_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("worlds were built, or a model compiled")

    for family in FAMILIES.values():
        monkeypatch.setattr(family, "__init__", never)
    for name in pliant.families():
        assert load_trained(f"shipped:{name}").cfg.family == name


@pytest.mark.usefixtures("few_tuning_tasks")
def test_a_policy_is_trained_evaluated_and_recorded(tmp_path: Path) -> None:
    trained = pliant.train(
        *("reach-rotated", "dr-memory"),
        out=tmp_path,
        iterations=1,
        tasks=2,
        threads=1,
        rate=0.01,
    )
    assert (trained.iteration, trained.cfg.learner.rate) == (1, 0.01)
    result = pliant.evaluate(
        trained, tasks=2, episodes=(0,), beside=[trained], threads=1
    )
    assert result.policies["dr-memory"][0]["source"] == str(tmp_path)
    recording = pliant.record(trained, seed=3, out=tmp_path / "a.npz")
    again = pliant.load_recording(tmp_path / "a.npz")
    assert isinstance(recording, pliant.Recording)
    assert isinstance(again, pliant.Recording)
    assert again.task == recording.task


def test_a_class_of_ones_own_is_a_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.registry.FAMILIES", entries := dict(FAMILIES))
    env = pliant.make_env(AntDirection, worlds=2, threads=1)
    name = "tasks.locomotion.ant_direction:AntDirection"
    assert isinstance(env.family, AntDirection)
    assert env.family.name == name
    assert pliant.make_env(name, threads=1).family.name == name
    # given again, by whatever name
    for kind in (AntDirection, type(env.family)):
        assert type(pliant.make_env(kind, threads=1).family) is type(env.family)
    assert entries.keys() - FAMILIES.keys() == {name}
    assert pliant.make_env(FAMILIES["push"], threads=1).family.name == "push"

    class Here(AntDirection):
        """Which no name finds but its own."""

        name = "here"

    assert pliant.make_env(Here, threads=1).family.name == "here"
    assert entries["here"] is Here

    class Mine(AntDirection):
        name = "push"

    class Bare(pliant.Family):
        pass

    for given, said in (
        (Mine, "family 'push' is Push already: give yours another"),
        (Bare, "family 'Bare' lacks compile, "),
        (TaskFamily, "a family is a name or a class of its own, got <class"),
    ):
        with pytest.raises(ValueError, match=said):
            pliant.make_env(given)


def test_a_run_of_a_class_that_no_command_finds_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Here(ReachRotated):
        name = "here"

    monkeypatch.setitem(FAMILIES, "here", Here)
    small = {"iterations": 1, "tasks": 2, "threads": 1, "out": tmp_path / "run"}
    with pytest.warns(UserWarning, match="commands will not find family 'here', whose"):
        assert pliant.train(Here, **small).cfg.family == "here"
    assert pliant.load(tmp_path / "run", family=Here).cfg.family == "here"
    with pytest.raises(ValueError, match="is of family here, not push"):
        pliant.load(tmp_path / "run", family="push")
