"""Functions of the public interface; see `pliant`."""

import warnings
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, cast

from meta.evaluation.baselines import taken_out, with_shipped
from meta.evaluation.evaluate import evaluate as evaluate_beside
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.results import Evaluation
from meta.machine.devices import pick_device
from meta.recipes.registry import make_config
from meta.recording.recorded import Recorded
from meta.recording.recorded import record as record_policy
from meta.registry import DEFAULT
from meta.training.config import replaced
from meta.training.run import default_folder
from meta.training.run import train as train_run
from meta.training.trained import Trained, load_trained
from pliant.given import Given, given_objects
from pliant.reporting import check_report, with_report
from tasks.contract import TaskFamily, Worlds, check_teams
from tasks.named import Trusted
from tasks.objects.mesh_file import Up, load_solid
from tasks.objects.object_set import ObjectSet
from tasks.objects.object_set import load_objects as load_set
from tasks.objects.solids import Solid
from tasks.registry import entered, find_family, findable
from tasks.registry import make_env as make_worlds

Policy = Trained | str
"""A policy, or where it is: a run folder, a file, or `shipped:NAME`."""


def load(
    policy: str | Path,
    device: str = "cpu",
    *,
    family: str | type[TaskFamily] | None = None,
    method: str | None = None,
) -> Trained:
    """Load a policy, onto the device that it is to act on.

    No code is imported because a file names it: a policy of a family or learner of your
    own is loaded by naming that, too.

    Args:
        policy: a run folder, a .safetensors file, or `shipped:NAME`.
        device: cpu, cuda, or auto.
        family: the policy's family, or its class; needed for one of your own.
        method: the policy's method; needed for a learner that is `module:Class`.

    Raises:
        ValueError: if there is none, the file is truncated or corrupt, or it is of
            another family or method.
    """
    own = entered(family) if isinstance(family, type) else family
    named = Trusted([own] if own else [], [method] if method else [])
    trained = load_trained(str(policy), pick_device(device), named)
    for kind, asked in named._asdict().items():
        if asked and (found := getattr(trained.cfg, kind)) not in asked:
            raise ValueError(f"{policy} is of {kind} {found}, not {asked[0]}")
    return trained


def load_object(path: str | Path, *, scale: float = 1.0, up: Up = "z") -> Solid:
    """Read an object of your own: a closed mesh, an MJCF body or a URDF.

    Args:
        path: the file.
        scale: metres per unit of the file: 0.001 for millimetres.
        up: axis of the file that points upwards.

    Raises:
        ValueError: if it cannot be used, saying why.
        OSError: if it cannot be read.
    """
    return load_solid(Path(path), scale=scale, up=up)


def load_objects(path: str | Path, *, scale: float = 1.0, up: Up = "z") -> ObjectSet:
    """Read one object of your own, or several in a folder.

    Those in its subfolder `unseen` are kept for the split `unseen`, and those in its
    subfolder `train` for the others. Without these two, a fifth of the objects, at
    least one, is unseen, chosen by what the files hold.

    Args:
        path: a file or a folder.
        scale: metres per unit of the files: 0.001 for millimetres.
        up: axis of the files that points upwards.

    Raises:
        ValueError: if one cannot be used, saying why.
        OSError: if one cannot be read.
    """
    return load_set(Path(path), scale=scale, up=up)


def make_env(
    family: str | type[TaskFamily],
    *,
    worlds: int = 5,
    tasks: int = 1,
    split: str = "held-out",
    seed: int = 0,
    object: Given = None,
    hidden: bool = False,
    device: str = "cpu",
    threads: int = 0,
) -> Worlds:
    """Make worlds that have their tasks: equally many of each, side by side.

    Args:
        family: name of the family, module:Class of one of yours, or the class itself.
        worlds: number of worlds in all; a team's agents count each, here and in tasks.
        tasks: number of tasks.
        split: where the tasks come from.
        seed: decides the tasks.
        object: what all tasks are about, a list of such, or their file or folder.
        hidden: whether observations end with the hidden parameters.
        device: what simulates: cpu, cuda, or auto.
        threads: simulator threads; 0 means one per CPU.

    Raises:
        ValueError: for an unknown family or split, a number of worlds that is no
            multiple of the number of tasks, or an object that cannot be used.
    """
    whole = all(isinstance(x, Integral) for x in (worlds, tasks, seed))
    if not whole or tasks < 1 or worlds < 1 or worlds % tasks or seed < 0:
        raise ValueError(
            "worlds must be a positive multiple of tasks, and seed >= 0; got "
            f"worlds={worlds!r}, tasks={tasks!r} and seed={seed!r}"
        )
    name = entered(family)
    made = find_family(name, pick_device(device), given_objects(object, name))
    check_teams(made, tasks)
    env = make_worlds(made, worlds=worlds, oracle=hidden, threads=threads)
    drawn = made.sample(split, seed, tasks)
    env.assign([task for task in drawn for _ in range(worlds // tasks)])
    return env


def train(
    family: str | type[TaskFamily],
    method: str = DEFAULT,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    **settings: Any,  # noqa: ANN401  (fields of two configurations)
) -> Trained:
    """Train a policy, and return it.

    A first Ctrl-C or SIGTERM ends training after the iteration and its checkpoint, from
    which `resume` goes on.

    Args:
        family: name of the family, module:Class of one of yours, or the class itself.
        method: name of the method, or module:Class of another learner.
        out: the run's folder; runs/FAMILY-METHOD-seedSEED by default.
        resume: continue the run in the folder.
        overwrite: replace the run in the folder.
        **settings: fields of `TrainCfg`, such as `iterations`, `seed` or `learner`, in
            place of the family's own.

    Raises:
        ValueError: for a setting that there is not or that is not allowed, or a folder
            that holds a run when neither was asked.
        OSError: if the run cannot be written.
        KeyboardInterrupt: if a signal ended training before its last iteration.
    """
    name = entered(family)
    if not findable(name):
        warnings.warn(
            f"commands will not find family {name!r}, whose class is made in a script, "
            "a notebook or a function: put it into a module, and import it from there",
            stacklevel=2,
        )
    cfg = replaced(make_config(name, method), settings)
    folder = default_folder(cfg) if out is None else Path(out)
    done = train_run(cfg, folder, resume=resume, overwrite=overwrite)
    if done.iteration < cfg.iterations:
        raise KeyboardInterrupt(
            f"stopped at iteration {done.iteration} of {cfg.iterations} in {folder}"
        )
    return load_trained(str(folder), cfg.device, cfg.named)


def evaluate(
    policy: Policy | Sequence[Policy],
    *,
    split: str = "held-out",
    tasks: int = 40,
    episodes: Sequence[int] = (0, 1, 2, 3, 5, 10),
    seed: int = 0,
    beside: Sequence[Policy] = (),
    alone: bool = True,
    object: Given = None,
    threads: int = 0,
) -> Evaluation:
    """Measure how a policy adapts, beside its baselines on the same tasks.

    Args:
        policy: a policy, or one per training seed of one method; one of a family of
            your own is loaded first: `load(..., family=...)`.
        split: where the tasks come from.
        tasks: number of tasks.
        episodes: numbers of episodes to adapt on.
        seed: decides the tasks and the episodes.
        beside: baselines and rivals, in place of those of their methods that ship.
        alone: leave out the rivals that are not in `beside`; random, DR, fine-tuning
            and oracle always stay.
        object: an object that all tasks are about, as for `make_env`.
        threads: simulator threads; 0 means one per CPU.

    Raises:
        ValueError: for policies of several families or methods, or numbers that are not
            allowed.
    """
    many = cast("Sequence[Policy]", [policy] if isinstance(policy, Policy) else policy)
    chosen = [_loaded(p) for p in many]
    if not chosen:
        raise ValueError("need at least one policy to evaluate, got none")
    device = chosen[0].device
    groups = with_shipped(chosen[0], [_loaded(p) for p in beside], device, alone=alone)
    cfg = EvaluationCfg(
        split=split,
        tasks=tasks,
        episodes=tuple(episodes),
        seed=seed,
        threads=threads,
        device=device,
        objects=given_objects(object, chosen[0].cfg.family),
    )
    floor, oracle = taken_out(groups)
    return evaluate_beside(
        chosen,
        cfg,
        floor=floor,
        oracle=oracle,
        rivals=[trained for group in groups.values() for trained in group],
    )


def record(
    policy: Policy,
    *,
    split: str = "held-out",
    seed: int = 0,
    adapt_episodes: int = 5,
    object: Given = None,
    change: str | None = None,
    report: bool | str = False,
    out: str | Path | None = None,
) -> Recorded:
    """Run a policy on one task, before and after adapting to it, and keep both.

    A `Recording` holds the physics states. Of a family in another simulator, whose
    worlds cannot be built again without its code, it is `Footage`: what its environment
    drew.

    Args:
        policy: the policy, or where it is; see `evaluate`.
        split: where the task comes from.
        seed: decides the task and the episodes.
        adapt_episodes: episodes to adapt on.
        object: an object that the task is about, as for `make_env`.
        change: how the task changes in the course of both episodes, if it does: step,
            ramp, periodic or recurring.
        report: whether pictures and videos say what was inferred, and how surely; or
            other words that they are to show, such as the message that it was told.
        out: a file to write, which `load_recording` and `pliant replay` read.

    Raises:
        ValueError: for an unknown split or change, a negative seed, no episode to adapt
            on, an environment that is not drawn, a change where nothing that matters
            can change in mid-episode, or a report of what infers nothing.
        OSError: if the file cannot be written; an existing one is then untouched.
    """
    trained = _loaded(policy)
    check_report(trained, report)
    recording = record_policy(
        trained,
        split=split,
        seed=seed,
        adapt_episodes=adapt_episodes,
        objects=given_objects(object, trained.cfg.family),
        change=change,
    )
    recording = with_report(recording, trained, report)
    if out is not None:
        recording.save(Path(out))
    return recording


def _loaded(policy: Policy) -> Trained:
    return policy if isinstance(policy, Trained) else load_trained(policy)
