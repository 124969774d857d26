"""Every method by name: one entry each. Nothing heavy is imported before it is used.

A learner that stands elsewhere is named `module:Class` and needs no entry: its class
says what an entry would (`meta.learner.LearnerClass`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, Literal, get_args

from tasks.named import imported

Observes = Literal["never", "in training", "always"]
DEFAULT = "maml"
"""The method that is trained and evaluated unless another is named."""
FLOORS, CEILING = ("dr-memory", "dr"), "oracle"
"""Methods that shares of a gap are measured between: from the first robust policy that
there is, for one that remembers its episode needs no adaptation to what it shows."""
CORE = (*FLOORS, DEFAULT, "rma", "explore", CEILING)
"""Methods whose claims rest on three training seeds on every family; of the others one
is trained, on a few."""
TRAINER = "meta.training.trainer:Trainer"
"""The training loop of most methods."""
_STATED = (
    *("title", "settings", "build"),
    *("stage", "initial", "trainable", "begin", "act", "adapt", "update"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A method: its name, settings, learner and trainer, and what it observes."""

    name: str
    title: str
    """Name in tables and plots."""
    learner: str
    """The learner's class, as `module:Class`: see `meta.learner.LearnerClass`."""
    settings: str
    """The class of its settings, as `module:Class`."""
    recipe: str | None = None
    """Function that makes its settings from a family's recipe, as `module:function`;
    none: the defaults of its settings."""
    trainer: str = TRAINER
    """The training loop's class, as `module:Class`."""
    cpu_only: bool = False
    """True if its trainer runs on the CPU alone."""
    extra: str = ""
    """The extra of the distribution that its trainer needs."""
    observes_hidden: Observes = "never"
    """Time at which the hidden parameters are part of its observations."""
    colour: str = "tab:pink"
    """Colour in plots, as matplotlib names it."""
    row: int = 50
    """Place among the rows of a table, the least first."""


_MAML = Method(
    name="maml",
    title="MAML-PPO",
    learner="meta.learners.maml:Maml",
    settings="meta.learners.maml_cfg:MamlCfg",
    recipe="meta.recipes.recipe:maml",
    colour="tab:blue",
    row=60,
)
_MAML_PLAIN = replace(
    _MAML,
    name="maml-plain",
    title="MAML-PPO, plain advantage",
    recipe="meta.recipes.recipe:plain",
    colour="tab:cyan",
    row=61,
)
_DR = replace(
    _MAML,
    name="dr",
    title="DR",
    recipe="meta.recipes.recipe:robust",
    colour="tab:orange",
    row=10,
)
_DR_MEMORY = replace(
    _DR,
    name="dr-memory",
    title="DR with memory",
    recipe="meta.recipes.recipe:remembering",
    colour="goldenrod",
    row=12,
)
_DR_SB3 = replace(
    _DR,
    name="dr-sb3",
    title="DR by Stable-Baselines3",
    recipe="meta.recipes.recipe:robust_elsewhere",
    trainer="meta.training.sb3:Sb3Trainer",
    cpu_only=True,
    extra="sb3",
    colour="tab:olive",
    row=11,
)
_RMA = Method(
    name="rma",
    title="RMA",
    learner="meta.learners.rma:Rma",
    settings="meta.learners.rma_cfg:RmaCfg",
    recipe="meta.recipes.recipe:rma",
    observes_hidden="in training",
    colour="tab:purple",
    row=40,
)
_SYSID = replace(
    _RMA,
    name="sysid",
    title="system identification",
    recipe="meta.recipes.recipe:sysid",
    colour="tab:brown",
    row=41,
)
_EXPLORE = replace(
    _RMA,
    name="explore",
    title="RMA with an explorer",
    learner="meta.learners.explore:Explore",
    settings="meta.learners.explore_cfg:ExploreCfg",
    recipe="meta.recipes.recipe:explore",
    colour="tab:red",
    row=42,
)
_RL2 = Method(
    name="rl2",
    title="RL²",
    learner="meta.learners.rl2:Rl2",
    settings="meta.learners.rl2_cfg:Rl2Cfg",
    recipe="meta.recipes.recipe:rl2",
    colour="teal",
    row=50,
)
_RL2_TRANSFORMER = replace(
    _RL2,
    name="rl2-transformer",
    title="RL² with a transformer",
    recipe="meta.recipes.recipe:rl2_transformer",
    colour="slateblue",
    row=51,
)
_VARIBAD = Method(
    name="varibad",
    title="VariBAD",
    learner="meta.learners.varibad:Varibad",
    settings="meta.learners.varibad_cfg:VaribadCfg",
    recipe="meta.recipes.recipe:varibad",
    colour="darkgreen",
    row=52,
)
_VARIBAD_EXPLORE = replace(
    _VARIBAD,
    name="varibad-explore",
    title="VariBAD with an explorer",
    learner="meta.learners.varibad:VaribadExplore",
    settings="meta.learners.varibad_cfg:VaribadExploreCfg",
    recipe="meta.recipes.recipe:varibad_explore",
    colour="crimson",
    row=53,
)
_ORACLE = replace(
    _DR,
    name="oracle",
    title="oracle",
    observes_hidden="always",
    colour="tab:green",
    row=90,
)
_ENTRIES = (
    *(_MAML, _MAML_PLAIN, _DR, _DR_MEMORY, _DR_SB3),
    *(_RMA, _SYSID, _EXPLORE, _RL2, _RL2_TRANSFORMER),
    *(_VARIBAD, _VARIBAD_EXPLORE, _ORACLE),
)
METHODS: Mapping[str, Method] = {entry.name: entry for entry in _ENTRIES}
PIECES = "meta.continual.training.trainer:PiecesTrainer"
"""The training loop of a run whose tasks arrive in pieces."""
_MEMORIES = "meta.continual.training"
MEMORIES: Mapping[str, str] = {
    "nothing": f"{_MEMORIES}.memory:Memory",
    "ewc": f"{_MEMORIES}.ewc:Ewc",
    "packnet": f"{_MEMORIES}.packnet:PackNet",
    "replay": f"{_MEMORIES}.replay:Replay",
    "rehearsal": f"{_MEMORIES}.cloning:Rehearsal",
    "cloning": f"{_MEMORIES}.cloning:Cloning",
    "together": f"{_MEMORIES}.memory:Together",
}
"""Ways to remember earlier pieces, as `module:Class`; `nothing` is fine-tuning, and
`together` has all pieces from the start."""
_FOREIGN: dict[str, Method] = {}
"""Learners that stand elsewhere and have been imported, by their `module:Class`."""


def find_method(name: str) -> Method:
    """Return the method of a name, or the one that stands at `module:Class`.

    Raises:
        ValueError: for an unknown name, listing the known ones, or a class that is no
            learner.
    """
    if name in METHODS:
        return METHODS[name]
    if ":" in name:
        _FOREIGN[name] = _foreign(name)
        return _FOREIGN[name]
    raise ValueError(
        f"unknown method {name!r}; methods: {', '.join(METHODS)}, or module:Class of "
        "another learner"
    )


def known_method(name: str) -> Method | None:
    """Return the method of a name that came out of a file; nothing is imported for it.

    None for a name that is unknown, and for a learner that the user has not named.
    """
    return METHODS.get(name) or _FOREIGN.get(name)


def _foreign(name: str) -> Method:
    found = imported(name)
    said = {w: getattr(found, w, None) for w in _STATED}
    lacking = [w for w, value in said.items() if value is None]
    if lacking:
        raise ValueError(
            f"{name!r} is no learner (meta.learner.LearnerClass): it lacks "
            f"{', '.join(lacking)}"
        )
    _check_settings(name, said["settings"])
    observes: Any = getattr(found, "observes_hidden", "never")
    if observes not in get_args(Observes):
        raise ValueError(
            f"observes_hidden of {name!r} is one of {', '.join(get_args(Observes))}, "
            f"got {observes!r}"
        )
    return Method(
        name=name,
        title=str(said["title"]),
        learner=name,
        settings=f"{name}.settings",
        observes_hidden=observes,
    )


def _check_settings(name: str, kind: Any) -> None:  # noqa: ANN401  (a user's class)
    if not is_dataclass(kind) or not callable(kind):
        raise ValueError(f"the settings of {name!r} are not a dataclass")
    try:
        made = kind()
    except TypeError as error:
        raise ValueError(
            f"the settings of {name!r} need a default for every field: {error}"
        ) from error
    lacking = [
        w for w in ("inner_steps", "adapt_episodes", "rate") if not hasattr(made, w)
    ]
    if lacking:
        raise ValueError(f"the settings of {name!r} lack {', '.join(lacking)}")
