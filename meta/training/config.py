"""Complete training configurations, by family and method."""

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from meta.learners.maml_cfg import MamlCfg
from meta.learners.rma import HistoryCfg
from tasks.registry import FAMILIES, find_family

Method = Literal["maml", "maml-plain", "dr", "dr-sb3", "rma", "sysid", "oracle"]
METHODS: tuple[Method, ...] = get_args(Method)
HISTORY_METHODS = ("rma", "sysid")
"""Those that learn from a teacher who observes the hidden parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainCfg:
    """Everything that decides a training run; the same one gives the same numbers."""

    family: str
    method: Method
    """`maml-plain` adapts by estimated advantages alone. `dr` and `oracle` are the same
    learner without adaptation; the oracle observes the hidden parameters. `dr-sb3` is
    DR by Stable-Baselines3. `rma` and `sysid` infer what a teacher observes."""
    learner: MamlCfg = field(default_factory=MamlCfg)
    history: HistoryCfg = field(default_factory=HistoryCfg)
    iterations: int
    """Meta-iterations; the step size falls to 0 at the last."""
    tasks: int
    """Tasks per iteration."""
    episodes: int
    """Episodes per task and phase."""
    measure_rounds: int = 1
    """Times the measuring phase is repeated: more episodes to learn from than to adapt
    on."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the policy's hidden layers."""
    initial_std: float = 0.5
    """Of a fresh policy's actions, which span [-1, 1]."""
    min_std: float = 0.1
    """Floor under it."""
    seed: int = 0
    """Decides every random number."""
    threads: int = 0
    """Simulator threads; 0 means one per CPU. Does not change the numbers."""
    device: str = "cpu"
    """What simulates and learns; another device draws other random numbers."""
    checkpoint_every: int = 20
    """Iterations."""

    def __post_init__(self) -> None:
        """Refuse what cannot run, with what is allowed."""
        if self.family not in FAMILIES:
            find_family(self.family)
        check_method(self.method)
        counts = ("iterations", "tasks", "episodes", "measure_rounds")
        for name in (*counts, "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        if self.seed < 0 or self.threads < 0:
            raise ValueError(
                f"seed and threads must be >= 0, got {self.seed} and {self.threads}"
            )
        if max(self.learner.adapt_episodes, default=1) > self.episodes:
            raise ValueError(
                f"cannot adapt on {max(self.learner.adapt_episodes)} episodes when "
                f"{self.episodes} are collected"
            )

    @property
    def privileged(self) -> bool:
        """Whether the hidden parameters are observed in training."""
        return self.method == "oracle" or self.method in HISTORY_METHODS

    @property
    def phases(self) -> int:
        """Times that every world runs an episode in one iteration."""
        return self.learner.inner_steps + self.measure_rounds

    @property
    def worlds(self) -> int:
        """Worlds simulated at once."""
        return self.tasks * self.episodes


def check_method(name: str) -> Method:
    """The method of that name.

    Raises:
        ValueError: if there is none.
    """
    for method in METHODS:
        if method == name:
            return method
    raise ValueError(f"unknown method {name!r}; methods: {', '.join(METHODS)}")


_CHEETAH = TrainCfg(
    family="cheetah-direction",
    method="maml",
    learner=MamlCfg(rate=2e-3, learned_advantage=True, inner_baseline="pooled"),
    iterations=300,
    tasks=20,
    episodes=10,
)
# few episodes and hidden dynamics: a learned inner advantage, a baseline that does not
# depend on the adapting episodes, and every number of episodes met in training
_FEW = MamlCfg(
    rate=4e-3,
    epochs=12,
    clip=0.2,
    learned_advantage=True,
    inner_baseline="pooled",
    adapt_episodes=(1, 2, 3, 5),
)
_STRIKE = TrainCfg(
    family="strike",
    method="maml",
    learner=_FEW,
    iterations=400,
    tasks=20,
    episodes=5,
    measure_rounds=2,
    min_std=0.15,
)
# ProMP's recipe, which needs no baseline from elsewhere; the other families' plain
# learners differ from the default in the advantage alone
_PLAIN = {"cheetah-direction": MamlCfg(rate=2e-3)}
_REACH = replace(_STRIKE, family="reach-rotated", iterations=200)
# unasked, the unadapted policy of push ends up near chance, and adapts to less
_PUSH = replace(
    _STRIKE, family="push", iterations=200, learner=replace(_FEW, unadapted=0.3)
)
_GRASP = replace(_STRIKE, family="grasp", iterations=300)
_OPEN = replace(_STRIKE, family="open", iterations=300)
_INSERT = replace(_STRIKE, family="insert", iterations=300)
# longer, it is no better on shapes like those it knows and worse on unseen ones
_ORACLE_ITERATIONS = {"strike": 200}
# of a family that has none of its own
_FALLBACK = _REACH
_FEWS = (_STRIKE, _PUSH, _GRASP, _OPEN, _INSERT, _REACH)
_CONFIGS = {c.family: c for c in (*_FEWS, _CHEETAH)}


def make_config(family: str, method: Method = "maml") -> TrainCfg:
    """The configuration that a family is trained with unless told otherwise.

    Every method takes as many env steps an iteration: the one phase of those that do
    not adapt has as many episodes as all phases of MAML together. They get as many
    iterations, but for the oracle of strike.

    Raises:
        ValueError: for an unknown family or method.
    """
    cfg = _CONFIGS.get(family) or replace(_FALLBACK, family=family)
    cfg = replace(cfg, method=method)
    if method == "maml":
        return cfg
    unlearned = replace(cfg.learner, learned_advantage=False)
    plain = _PLAIN.get(family, unlearned)
    if method == "maml-plain":
        return replace(cfg, learner=plain)
    cfg = replace(
        cfg,
        learner=replace(plain, inner_steps=0, unadapted=0.0),
        measure_rounds=cfg.learner.inner_steps + cfg.measure_rounds,
    )
    if method in HISTORY_METHODS:
        latent = 0 if method == "sysid" else cfg.history.latent
        return replace(cfg, history=replace(cfg.history, latent=latent))
    iterations = cfg.iterations
    if method == "oracle":
        iterations = _ORACLE_ITERATIONS.get(family, iterations)
    learner = replace(cfg.learner, adapt_episodes=())
    return replace(cfg, learner=learner, iterations=iterations)
