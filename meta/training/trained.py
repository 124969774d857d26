"""Policies that have been meta-trained: where they are, and how they are used."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import torch

import assets
from meta.experience.rollout import Experience, Rollout, collect, task_groups
from meta.learner import Learner, adapt_to_worlds, exploring
from meta.machine.devices import simulator_threads
from meta.registry import DEFAULT
from meta.theta import Params, Theta, group, on_device, prefixed
from meta.training.build import finished, make_learner, sizes_of
from meta.training.config import TrainCfg
from meta.training.format import parse_config, read, write
from policies.acting import Act
from tasks.contract import Worlds
from tasks.named import NOTHING, Trusted

CHECKPOINT = "checkpoint.safetensors"
SHIPPED = "shipped:"
LARGE = "gpu"  # names MAML-PPO trained on far more env steps, in no comparison


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Trained:
    """A policy that has been meta-trained, with all it needs to adapt."""

    cfg: TrainCfg
    learner: Learner
    theta: Theta
    iteration: int
    env_steps: int
    source: str
    """Place that it was loaded from, as the user named it."""
    checksum: str = ""
    """Checksum of the file that it was loaded from."""

    def __repr__(self) -> str:
        """Say in a line what it is; its tensors and settings are in its fields."""
        return (
            f"<Trained {self.source!r}: {self.cfg.method} on {self.cfg.family}, "
            f"seed {self.cfg.seed}, {self.env_steps:,} env steps>"
        )

    @property
    def device(self) -> torch.device:
        """Device that it acts and adapts on."""
        return next(iter(self.theta.values())).device

    def begin(self, tasks: int) -> "Adapted":
        """Return the policy before it has met any of its tasks."""
        return Adapted(self, self.learner.begin(self.theta, tasks), tasks)

    def adapt(self, env: Worlds, *, seed: int = 0) -> "Adapted":
        """Adapt to the tasks of some worlds, from one episode in each world.

        A method that plays each episode in the knowledge of those before adapts to
        them in turn, world by world; the other worlds of a task run beside it.

        Args:
            env: worlds that have their tasks, equally many worlds of each, grouped.
            seed: decides the initial states and the actions.

        Returns:
            The adapted policy; the same as before, for a method that does not adapt.

        Raises:
            ValueError: for worlds that are not grouped by task.
        """
        self.check_worlds(env)
        met = task_groups(env)
        start = self.begin(len(met))
        if not self.learner.inner_steps:
            return start
        rng = torch.Generator(env.device).manual_seed(seed)
        learned = adapt_to_worlds(self.learner, self.theta, start.adaptation, env, rng)
        return start._replace(adaptation=learned, met=met)

    def measure(self, env: Worlds, *, seed: int = 0) -> Rollout:
        """Run an unadapted episode in each world; see `Adapted.measure`."""
        return self.begin(len(task_groups(env))).measure(env, seed=seed)

    def check_worlds(self, env: Worlds) -> None:
        """Raise ValueError for worlds that the policy cannot act in."""
        if env.family.name != self.cfg.family:
            raise ValueError(
                f"{self.source} is a policy for {self.cfg.family}, and the worlds are "
                f"of {env.family.name}"
            )
        if env.oracle != self.cfg.told:
            needs = "observe" if self.cfg.told else "do not observe"
            raise ValueError(
                f"{self.source} acts in worlds that {needs} the hidden parameters: "
                f"make them with hidden={self.cfg.told}"
            )


class Adapted(NamedTuple):
    """A policy, and what it has worked out about its tasks."""

    policy: Trained
    adaptation: Params
    tasks: int
    """Number of tasks that it acts on, side by side."""
    met: tuple[str, ...] = ()
    """Hashes of the tasks that `Trained.adapt` adapted it to, in order."""

    def __repr__(self) -> str:
        """Say in a line what it is."""
        return f"<Adapted {self.policy.source!r}: tasks {self.tasks}>"

    @property
    def act(self) -> Act:
        """Maps observations to distributions over actions, worlds grouped by task."""
        return self.policy.learner.act(self.policy.theta, self.adaptation)

    @property
    def explore(self) -> Act:
        """The policies of the episodes to adapt on; see `meta.learner.exploring`."""
        return exploring(self.policy.learner, self.policy.theta, self.adaptation)

    def after(self, experience: Experience) -> "Adapted":
        """Return the policy adapted further, by experience that it collected."""
        learner, theta = self.policy.learner, self.policy.theta
        learned = learner.adapt(theta, self.adaptation, experience)
        return self._replace(adaptation=learned)

    def measure(self, env: Worlds, *, seed: int = 0) -> Rollout:
        """Run one episode in each world, acting by the mean.

        Args:
            env: worlds of the tasks that it is adapted to, grouped as then.
            seed: decides the initial states.

        Raises:
            ValueError: for worlds of other tasks, or in another order.
        """
        self.policy.check_worlds(env)
        here = task_groups(env)
        if len(here) != self.tasks:
            raise ValueError(
                f"adapted to {self.tasks} tasks, and the worlds have {len(here)}"
            )
        if self.met and here != self.met:
            raise ValueError(
                "adapted to other tasks than those of these worlds, or to the same in "
                "another order"
            )
        rng = torch.Generator(env.device).manual_seed(seed)
        return collect(env, self.act, rng, explore=False)


def check_adapted(adapted: object) -> None:
    """Raise ValueError for what is no policy that has adapted."""
    if not isinstance(adapted, Adapted):
        raise ValueError(
            f"need a policy that has adapted, policy.adapt(env); got {adapted!r:.60}"
        )


def load_trained(
    spec: str, device: torch.device | str = "cpu", named: Trusted = NOTHING
) -> Trained:
    """Load a policy from a run folder, a file, or `shipped:NAME`, onto a device.

    It need not be the device that it was trained on. No worlds are built.

    Args:
        spec: where it is.
        device: where it is to act.
        named: as for `parse_config`.

    Raises:
        ValueError: if there is none, or the file is truncated, corrupt or of another
            format.
    """
    path = locate(spec)
    tensors, metadata = read(path)
    cfg = config_of(path, metadata, named)
    sizes = sizes_of(cfg.family)
    with simulator_threads():  # several would only wait for each other: it is little
        learner = make_learner(cfg, sizes)
    obs_dim = sizes.obs + (sizes.hidden if cfg.privileged else 0)
    expected, saved = learner.initial(obs_dim), group(tensors, "theta")
    # inference uses no critic: ours may be missing, and another library's is dropped
    needed = finished(cfg, expected)
    expected = {k: v for k, v in expected.items() if k in saved or k in needed}
    theta = fitting({k: v for k, v in saved.items() if k in expected}, expected, spec)
    return Trained(
        cfg=cfg,
        learner=learner,
        theta=on_device(theta, device),
        iteration=int(metadata["iteration"]),
        env_steps=int(metadata["env_steps"]),
        source=spec,
        checksum=metadata["sha256"],
    )


def export_policy(spec: str, path: Path, named: Trusted = NOTHING) -> None:
    """Write what it takes to use a policy, and not what it takes to train it on.

    The optimiser and the critic are left out.

    Args:
        spec: as for `load_trained`.
        path: of the new file, which loads as the policy but cannot be resumed.
        named: as for `load_trained`.

    Raises:
        ValueError: if there is no such file, or it is truncated or corrupt.
        OSError: if the file cannot be written; an existing one is then untouched.
    """
    _, metadata = read(locate(spec))
    trained = load_trained(spec, named=named)
    kept = prefixed("theta", finished(trained.cfg, trained.theta))
    del metadata["sha256"]
    write(path, kept, metadata)


def checkpoint_config(path: Path, named: Trusted = NOTHING) -> TrainCfg:
    """The configuration that a checkpoint was trained with.

    Raises:
        ValueError: as `load_trained`.
    """
    return config_of(path, read(path)[1], named)


def config_of(
    path: Path, metadata: Mapping[str, str], named: Trusted = NOTHING
) -> TrainCfg:
    """The configuration in a checkpoint's metadata.

    Raises:
        ValueError: as `parse_config`, naming the file.
    """
    try:
        return parse_config(metadata.get("config", "null"), named)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def checksum(path: Path) -> str:
    """Return the checksum that tells a checkpoint from any other.

    Raises:
        ValueError: as `load_trained`.
    """
    return read(path)[1]["sha256"]


def shipped_policies(family: str = "", method: str = "") -> list[str]:
    """Names that `load_trained` takes after `shipped:`, of one method (or `LARGE`)."""
    names = sorted(p.stem for p in (assets.ROOT / "policies").glob("*.safetensors"))
    if not method:
        return names
    first = family if method == DEFAULT else f"{family}-{method}"
    return [n for n in names if re.fullmatch(rf"{re.escape(first)}(-seed\d+)?", n)]


def locate(spec: str) -> Path:
    """The file of a policy: in a run folder, itself, or shipped.

    Raises:
        ValueError: if there is none.
    """
    if spec.startswith(SHIPPED):
        name = spec.removeprefix(SHIPPED)
        known = shipped_policies()
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {SHIPPED}{near[0]}?" if near else "see pliant list"
            raise ValueError(f"no shipped policy {name!r}; {hint}")
        return assets.path(f"policies/{name}.safetensors")
    path = Path(spec)
    path = path / CHECKPOINT if path.is_dir() else path
    if not path.is_file():
        raise ValueError(
            f"no policy at {spec!r}: give a run folder, a .safetensors file or "
            f"{SHIPPED}NAME"
        )
    return path


def fitting(saved: Theta, expected: Theta, source: str) -> Theta:
    """Return saved tensors, or raise ValueError unless they are as expected."""
    kinds = {k: (v.shape, v.dtype) for k, v in expected.items()}
    if {k: (v.shape, v.dtype) for k, v in saved.items()} != kinds:
        raise ValueError(f"the tensors in {source} do not fit its configuration")
    return saved
