"""The configuration of a training run."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_type_hints

from meta.bounds import check_bounds
from meta.learners.maml_cfg import MamlCfg
from meta.registry import MEMORIES, TRAINER, find_method
from policies.mlp import PolicyCfg
from robots.sim.simulator import MAX_THREADS
from tasks.named import Trusted, imported
from tasks.registry import FAMILIES

Roles = Literal["shared", "own"]
MAX_WORLDS = 2**20
MAX_WIDTH = 2**14
"""Largest width of a hidden layer."""
_MOST = {
    "iterations": 10**9,
    "tasks": MAX_WORLDS,
    "episodes": MAX_WORLDS,
    "measure_rounds": 1000,
    "checkpoint_every": 10**9,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainCfg:
    """Everything that decides a training run; the same one gives the same numbers."""

    family: str
    method: str
    """One of `meta.registry`, or module:Class of another learner. `maml-plain` adapts
    by estimated advantages alone. `dr` and `oracle` are the same learner without
    adaptation; the oracle observes the hidden parameters. `dr-memory` is DR that
    remembers its episode, `dr-sb3` DR by Stable-Baselines3. `rma` and `sysid` infer
    what a teacher observes; `explore` does so from episodes in which it acts in order
    to tell. `rl2` and `rl2-transformer` remember all episodes with a task. `varibad`
    believes what foretells its episodes, `varibad-explore` acts in order to, too."""
    learner: Any = field(default_factory=MamlCfg)
    """The method's own settings: see `meta.learner.Settings`."""
    iterations: int
    """Meta-iterations; the step size falls to 0 at the last."""
    tasks: int
    """Tasks per iteration."""
    episodes: int
    """Episodes per task and phase."""
    measure_rounds: int = 1
    """Times the measuring phase is repeated: more episodes to learn from than to adapt
    on."""
    pieces: tuple[str, ...] = ()
    """Pieces in which the training tasks arrive, one after another: PARAMETER/NUMBER of
    equal shares, in an order that the seed draws, or each as PARAMETER=LOW:HIGH or
    PARAMETER=OPTION|OPTION. None: all tasks at once."""
    remember: str = "nothing"
    """Way to remember earlier pieces: nothing (fine-tuning), ewc, packnet (told the
    piece in use), replay (of tasks), rehearsal (of actions), cloning (of policies), or
    together, which has all pieces from the start."""
    hold: float = 0.0
    """Strength of what earlier pieces are held by: the weight of ewc, rehearsal and
    cloning, the share of tasks of replay, the share of a piece that packnet trains on
    after pruning. 0: the method's own."""
    roles: Roles = "shared"
    """Parameters of a team: `shared` by all of its agents, or each role's `own`, all
    that is learned, by its own agents' experience. Of no effect where there is one
    role, and refused where there is one robot."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the policy's hidden layers."""
    initial_std: float = 0.5
    """Standard deviation of a fresh policy's actions, which span [-1, 1]."""
    min_std: float = 0.1
    """Floor under it."""
    seed: int = 0
    """Decides every random number."""
    threads: int = 0
    """Simulator threads; 0 means one per CPU. Does not change the numbers."""
    device: str = "cpu"
    """Device that simulates and learns; another one draws other random numbers."""
    checkpoint_every: int = 20
    """Iterations between checkpoints."""

    def __post_init__(self) -> None:
        """Refuse what cannot run, with what is allowed."""
        if self.family not in FAMILIES and ":" not in self.family:
            raise ValueError(
                f"unknown family {self.family!r}; families: "
                f"{', '.join(sorted(FAMILIES))}, or module:Class of one of yours"
            )
        find_method(self.method)
        if self.roles not in get_args(Roles):
            raise ValueError(
                f"unknown roles {self.roles!r}; known: {', '.join(get_args(Roles))}"
            )
        check_bounds(
            self,
            *(f"1 <= {name} <= {most:,}" for name, most in _MOST.items()),
            *(f"1e-6 <= {name} <= 1e6" for name in ("initial_std", "min_std")),
            f"0 <= threads <= {MAX_THREADS:,}",
            f"0 <= seed < {2**63:,}",
        )
        if self.worlds > MAX_WORLDS:
            raise ValueError(
                f"{self.tasks} tasks of {self.episodes} episodes are {self.worlds:,} "
                f"worlds at once; at most {MAX_WORLDS:,} are simulated"
            )
        if not self.hidden or not all(1 <= w <= MAX_WIDTH for w in self.hidden):
            raise ValueError(
                f"hidden layers are one or more widths of 1 to {MAX_WIDTH:,}, got "
                f"{', '.join(map(str, self.hidden)) or 'none'}"
            )
        _check_learner(self)
        _check_whole(self)
        _check_finite(self)
        _check_memory(self)
        _check_team(self)
        _check_collected(self)

    @property
    def named(self) -> Trusted:
        """Family and method, as the user's who asked for them."""
        return Trusted((self.family,), (self.method,))

    @property
    def privileged(self) -> bool:
        """True if the hidden parameters are observed in training."""
        return find_method(self.method).observes_hidden != "never"

    @property
    def told(self) -> bool:
        """True if the hidden parameters are observed after training, too."""
        return find_method(self.method).observes_hidden == "always"

    @property
    def network(self) -> PolicyCfg:
        """Sizes and spread of the policy."""
        return PolicyCfg(
            hidden=self.hidden, initial_std=self.initial_std, min_std=self.min_std
        )

    @property
    def phases(self) -> int:
        """Times that every world runs an episode in one iteration."""
        return self.learner.inner_steps + self.measure_rounds

    @property
    def worlds(self) -> int:
        """Worlds simulated at once."""
        return self.tasks * self.episodes


def replaced(cfg: TrainCfg, settings: Mapping[str, object]) -> TrainCfg:
    """Return a configuration with some settings replaced, by name.

    The method's own settings are named as if they were the configuration's.

    Raises:
        ValueError: for a setting that there is not, or that is not allowed.
    """
    known = set(setting_names(cfg))
    for name in settings:
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else ", ".join(sorted(known))
            raise ValueError(f"{cfg.method} has no setting {name!r}: {hint}")
    collected = settings.get("episodes")
    if isinstance(collected, int) and collected > 0 and cfg.learner.adapt_episodes:
        settings = {"adapt_episodes": adapting_on(cfg, collected), **settings}
    return _replaced(cfg, settings)


def adapting_on(cfg: TrainCfg, episodes: int) -> tuple[int, ...]:
    """Return the numbers of episodes to adapt on that so many collected ones allow."""
    return tuple(k for k in cfg.learner.adapt_episodes if k <= episodes) or (episodes,)


def setting_names(cfg: Any) -> list[str]:  # noqa: ANN401  (any dataclass)
    """Return the names of a configuration's fields, and of those within them."""
    return [name for name, _ in settings_of(cfg)]


def settings_of(cfg: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Yield a configuration's fields by name, and those within them."""
    for own in fields(cfg):
        value = getattr(cfg, own.name)
        yield own.name, value
        if is_dataclass(value):
            yield from settings_of(value)


def differing(one: TrainCfg, other: TrainCfg) -> list[str]:
    """Return the names of the settings that differ, the method's own among them."""
    first, second = dict(settings_of(one)), dict(settings_of(other))
    named = [
        name
        for name in first.keys() & second.keys()
        # what holds others differs in some of these
        if first[name] != second[name]
        and not (is_dataclass(first[name]) and is_dataclass(second[name]))
    ]
    # two settings of one name hide each other
    return named or ["learner"] * (one.learner != other.learner)


def _check_learner(cfg: TrainCfg) -> None:
    """Refuse settings that are not the method's."""
    kind = imported(find_method(cfg.method).settings)
    if not isinstance(cfg.learner, kind):
        raise ValueError(
            f"learner is the settings of {cfg.method}, {kind.__name__}(...), got "
            f"{cfg.learner!r:.60}: in Python name them one by one, as iterations"
        )


def _check_memory(cfg: TrainCfg) -> None:
    """Refuse ways to remember that there are not, or that have nothing to remember."""
    if cfg.remember not in MEMORIES:
        raise ValueError(
            f"unknown way to remember {cfg.remember!r}: {', '.join(MEMORIES)}"
        )
    if cfg.hold < 0 or (not cfg.pieces and (cfg.remember != "nothing" or cfg.hold)):
        raise ValueError(
            "remember and hold are about pieces (--pieces), and hold is at least 0; "
            f"got {cfg.remember!r} and {cfg.hold} with {len(cfg.pieces)} pieces"
        )


def _check_team(cfg: TrainCfg) -> None:
    """Refuse baselines and a team's settings where another library trains."""
    ours = ("critic", "all"), ("outer_baseline", "network"), ("roles", "own")
    stated = any(setting in ours for setting in settings_of(cfg))
    if find_method(cfg.method).trainer != TRAINER and stated:
        raise ValueError(
            f"{cfg.method} is trained by another library, which shares parameters and "
            "has a critic of its own: leave out roles, critic and outer_baseline"
        )


def _check_collected(cfg: TrainCfg) -> None:
    """Refuse to adapt on more episodes than there are."""
    most = max(cfg.learner.adapt_episodes, default=1)
    if most > cfg.episodes:
        fewer = " ".join(map(str, sorted({1, cfg.episodes})))
        raise ValueError(
            f"cannot adapt on {most} episodes when {cfg.episodes} are collected: raise "
            f"episodes (--episodes), or lower adapt_episodes (--adapt-episodes {fewer})"
        )


def _check_whole(cfg: Any) -> None:  # noqa: ANN401  (any dataclass)
    """Refuse other numbers where a file has whole ones: they could not be read back."""
    hints = get_type_hints(type(cfg))
    for own in fields(cfg):
        value, kind = getattr(cfg, own.name), hints[own.name]
        each = value if kind == tuple[int, ...] else (value,)
        if kind in (int, tuple[int, ...]) and not all(type(v) is int for v in each):
            raise ValueError(f"{own.name} must be of whole Python ints, got {value!r}")
        if is_dataclass(value):
            _check_whole(value)


def _check_finite(cfg: Any) -> None:  # noqa: ANN401  (any dataclass)
    for name, value in settings_of(cfg):
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value}")


def _replaced(cfg: Any, settings: Mapping[str, object]) -> Any:  # noqa: ANN401
    # a configuration has tuples and no lists, as it is stored
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    own = {f.name: getattr(cfg, f.name) for f in fields(cfg)}
    inner = {k: _replaced(v, settings) for k, v in own.items() if is_dataclass(v)}
    return replace(cfg, **inner | {k: v for k, v in settings.items() if k in own})
