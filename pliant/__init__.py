"""Robots in MuJoCo that adapt, in a few episodes, to what they have never met.

    import pliant

    policy = pliant.load("shipped:strike")
    env = pliant.make_env("strike", worlds=5, split="unseen", seed=7)
    adapted = policy.adapt(env)
    print(policy.measure(env).returns.mean(), adapted.measure(env).returns.mean())

`dir(pliant)` lists every public name; each is imported when it is first used.
"""

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meta.continual.agent import Agent as Agent
    from meta.continual.draw import make_stream as make_stream
    from meta.continual.habits import Habits as Habits
    from meta.continual.senses import Senses as Senses
    from meta.continual.senses import fit_senses as fit_senses
    from meta.continual.stream import Stream as Stream
    from meta.continual.stream import Visit as Visit
    from meta.continual.stream import load_stream as load_stream
    from meta.evaluation.dispatch import Plan as Plan
    from meta.evaluation.listening import ListenCfg as ListenCfg
    from meta.evaluation.listening import listen as listen
    from meta.evaluation.results import Evaluation as Evaluation
    from meta.inner import Adam as Adam
    from meta.inner import Sgd as Sgd
    from meta.inner import inner_loop as inner_loop
    from meta.language.backbone import LanguageModel as LanguageModel
    from meta.language.backbone import load_language_model as load_language_model
    from meta.language.belief import Belief as Belief
    from meta.language.complete import Cassette as Cassette
    from meta.language.complete import Endpoint as Endpoint
    from meta.language.free_text import FreeText as FreeText
    from meta.language.hints import HintCfg as HintCfg
    from meta.language.message import Message as Message
    from meta.language.nearest import Nearest as Nearest
    from meta.learner import Learner as Learner
    from meta.learner import Sizes as Sizes
    from meta.learners.few_shot import Maml as Maml
    from meta.learners.few_shot import Reptile as Reptile
    from meta.learners.prototypical import Prototypical as Prototypical
    from meta.learners.update_rule import LearnedRule as LearnedRule
    from meta.learners.update_rule import RuleLearner as RuleLearner
    from meta.library.embedding import Embedding as Embedding
    from meta.library.embedding import fit_embedding as fit_embedding
    from meta.library.library import Library as Library
    from meta.library.recall import keep as keep
    from meta.library.recall import recall as recall
    from meta.library.shelf import load_library as load_library
    from meta.library.shelf import save_library as save_library
    from meta.recording.footage import Footage as Footage
    from meta.recording.recorded import load_recording as load_recording
    from meta.recording.trajectory import Recording as Recording
    from meta.training.swapping import swapped as swapped
    from meta.training.trained import Adapted as Adapted
    from meta.training.trained import Trained as Trained
    from pliant.api import evaluate as evaluate
    from pliant.api import load as load
    from pliant.api import load_object as load_object
    from pliant.api import load_objects as load_objects
    from pliant.api import make_env as make_env
    from pliant.api import record as record
    from pliant.api import train as train
    from pliant.catalogue import families as families
    from pliant.catalogue import methods as methods
    from pliant.catalogue import policies as policies
    from pliant.catalogue import robots as robots
    from pliant.planning import dispatch as dispatch
    from pliant.telling import believe as believe
    from pliant.telling import inferred as inferred
    from pliant.telling import messages as messages
    from pliant.telling import read_message as read_message
    from pliant.telling import tell as tell
    from policies.lora import add_lora as add_lora
    from policies.lora import merge_lora as merge_lora
    from policies.reader import Reader as Reader
    from robots.registry import make_robot as make_robot
    from tasks.adapters.sb3 import TaskVecEnv as TaskVecEnv
    from tasks.env import Env as Env
    from tasks.external import ExternalFamily as ExternalFamily
    from tasks.family import Family as Family
    from tasks.objects.turning import turned as turned
    from tasks.parameters import Choice as Choice
    from tasks.parameters import Scalar as Scalar
    from tasks.registry import make_family as make_family
    from tasks.supervised.babble import Babble as Babble
    from tasks.supervised.contract import Examples as Examples
    from tasks.supervised.contract import Shots as Shots
    from tasks.supervised.contract import SupervisedFamily as SupervisedFamily
    from tasks.supervised.glosses import Glosses as Glosses
    from tasks.supervised.glyphs import Glyphs as Glyphs
    from tasks.supervised.omniglot import Omniglot as Omniglot
    from tasks.supervised.sinusoid import Sinusoid as Sinusoid
    from tasks.supervised.text import TextFamily as TextFamily
    from tasks.task import Task as Task

_NAMES = {
    "meta.continual.agent": ("Agent",),
    "meta.continual.draw": ("make_stream",),
    "meta.continual.habits": ("Habits",),
    "meta.continual.senses": ("Senses", "fit_senses"),
    "meta.continual.stream": ("Stream", "Visit", "load_stream"),
    "meta.evaluation.dispatch": ("Plan",),
    "meta.evaluation.listening": ("ListenCfg", "listen"),
    "meta.evaluation.results": ("Evaluation",),
    "meta.inner": ("Adam", "Sgd", "inner_loop"),
    "meta.language.backbone": ("LanguageModel", "load_language_model"),
    "meta.language.belief": ("Belief",),
    "meta.language.complete": ("Cassette", "Endpoint"),
    "meta.language.free_text": ("FreeText",),
    "meta.language.hints": ("HintCfg",),
    "meta.language.message": ("Message",),
    "meta.language.nearest": ("Nearest",),
    "meta.learner": ("Learner", "Sizes"),
    "meta.learners.few_shot": ("Maml", "Reptile"),
    "meta.learners.prototypical": ("Prototypical",),
    "meta.learners.update_rule": ("LearnedRule", "RuleLearner"),
    "meta.library.embedding": ("Embedding", "fit_embedding"),
    "meta.library.library": ("Library",),
    "meta.library.recall": ("keep", "recall"),
    "meta.library.shelf": ("load_library", "save_library"),
    "meta.recording.footage": ("Footage",),
    "meta.recording.recorded": ("load_recording",),
    "meta.recording.trajectory": ("Recording",),
    "meta.training.swapping": ("swapped",),
    "meta.training.trained": ("Adapted", "Trained"),
    "pliant.api": (
        *("evaluate", "load", "load_object", "load_objects", "make_env"),
        *("record", "train"),
    ),
    "pliant.catalogue": ("families", "methods", "policies", "robots"),
    "pliant.planning": ("dispatch",),
    "pliant.telling": ("believe", "inferred", "messages", "read_message", "tell"),
    "policies.lora": ("add_lora", "merge_lora"),
    "policies.reader": ("Reader",),
    "robots.registry": ("make_robot",),
    "tasks.adapters.sb3": ("TaskVecEnv",),
    "tasks.env": ("Env",),
    "tasks.external": ("ExternalFamily",),
    "tasks.family": ("Family",),
    "tasks.objects.turning": ("turned",),
    "tasks.parameters": ("Choice", "Scalar"),
    "tasks.registry": ("make_family",),
    "tasks.supervised.babble": ("Babble",),
    "tasks.supervised.contract": ("Examples", "Shots", "SupervisedFamily"),
    "tasks.supervised.glosses": ("Glosses",),
    "tasks.supervised.glyphs": ("Glyphs",),
    "tasks.supervised.omniglot": ("Omniglot",),
    "tasks.supervised.sinusoid": ("Sinusoid",),
    "tasks.supervised.text": ("TextFamily",),
    "tasks.task": ("Task",),
}
_PLACES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:  # noqa: ANN401  (whatever the name stands for)
    """Import a public name when it is first used."""
    if name not in _PLACES:
        raise AttributeError(f"module 'pliant' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(_PLACES)


def _check_siblings() -> None:
    """Raise ImportError if another file hides a package that Pliant is made of."""
    home = Path(__file__).resolve().parents[1]
    for name in ("assets", "meta", "policies", "robots", "tasks"):
        found = importlib.util.find_spec(name)
        where = found and found.origin
        if where is None or Path(where).resolve().parents[1] != home:
            raise ImportError(
                f"Pliant needs its own package {name!r}, and Python finds "
                f"{where or 'no such package'} instead: rename that file, or start "
                "Python with -P so that it is not looked for beside the script"
            )


_check_siblings()
