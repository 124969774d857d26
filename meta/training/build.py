"""Learners, worlds and runs made from a configuration."""

from meta.learner import Learner, Sizes
from meta.learners.by_role import ByRole
from meta.learners.critic import of_critic
from meta.machine.distributed import local_threads, share
from meta.machine.seeds import derived_generator
from meta.registry import PIECES, TRAINER, find_method
from meta.theta import Theta
from meta.training.config import TrainCfg, settings_of
from meta.training.trainer import INITIAL, Trainer, Training
from tasks.contract import Worlds, check_teams
from tasks.named import imported
from tasks.registry import FAMILIES, find_family, make_env

_OF_TEAMS = (("critic", "all"), ("roles", "own"))
"""Settings that say nothing where there is one robot."""


def make_training(cfg: TrainCfg) -> Training:
    """Make a run at its first iteration, or this process's share of it.

    Raises:
        ValueError: for tasks that cannot be shared out equally, a device that is not
            here, an extra that is not installed, settings of a team for one robot, or
            several episodes of a task where roles have parameters of their own and the
            method plays them in turn.
    """
    method, sizes = find_method(cfg.method), sizes_of(cfg.family)
    for setting in settings_of(cfg):
        if setting in _OF_TEAMS and not sizes.roles:
            raise ValueError(
                f"{' '.join(setting)} is about teams, and family {cfg.family} has one "
                f"robot: leave out {setting[0]}"
            )
    name = method.trainer
    if cfg.pieces and name != TRAINER:
        raise ValueError(f"{cfg.method} does not learn in pieces: leave out pieces")
    learner = make_learner(cfg, sizes)
    if isinstance(learner, ByRole) and learner.sequential and cfg.episodes > 1:
        raise ValueError(
            f"{cfg.method} lives a trial in every world: with roles of their own a "
            f"task has one (--episodes 1), got {cfg.episodes}"
        )
    try:
        kind = imported(PIECES if cfg.pieces else name)
    except ValueError as error:
        if not method.extra:
            raise
        raise ValueError(
            f"{cfg.method} needs another package: pip install 'pliant[{method.extra}]'"
        ) from error
    return kind(cfg, make_worlds(cfg), learner)


def make_trainer(cfg: TrainCfg) -> Trainer:
    """Make a run at its first iteration by our own loop, whatever the method.

    Raises:
        ValueError: as `make_training`.
    """
    return Trainer(cfg, make_worlds(cfg), make_learner(cfg))


def make_worlds(cfg: TrainCfg) -> Worlds:
    """Make this process's share of a run's worlds.

    Raises:
        ValueError: as `make_training`.
    """
    size = share().size
    if cfg.tasks % size:
        raise ValueError(
            f"{cfg.tasks} tasks cannot be shared equally by {size} processes"
        )
    family = find_family(cfg.family, cfg.device)
    check_teams(family, cfg.tasks // size)
    return make_env(
        family,
        worlds=cfg.worlds // size,
        oracle=cfg.privileged,
        threads=cfg.threads or local_threads(),
    )


def make_learner(cfg: TrainCfg, sizes: Sizes | None = None) -> Learner:
    """Make the learner of a configuration, with freshly drawn modules.

    Args:
        cfg: the configuration.
        sizes: those of its family, which are looked up if not given.
    """
    sizes = sizes or sizes_of(cfg.family)
    if not cfg.privileged:
        sizes = sizes._replace(hidden=0)
    kind = imported(find_method(cfg.method).learner)
    rng = derived_generator(cfg.seed, INITIAL, 0)
    learner = kind.build(cfg.learner, cfg.network, sizes, rng)
    apart = cfg.roles == "own" and len(set(sizes.roles)) > 1
    return ByRole(learner, sizes.roles) if apart else learner


def finished(cfg: TrainCfg, theta: Theta) -> Theta:
    """Return all that a policy acts and adapts by: not the critic, which trains it."""
    if ("outer_baseline", "network") not in settings_of(cfg):
        return theta
    return {k: v for k, v in theta.items() if not of_critic(k)}


def sizes_of(family: str) -> Sizes:
    """Return the sizes of a family, without compiling a model or building worlds.

    Raises:
        ValueError: for an unknown family.
    """
    return Sizes.of(FAMILIES.get(family) or find_family(family))
