"""Public functions about beliefs: what a text or a robot says, and who is told it."""

import warnings
from collections.abc import Sequence
from typing import overload

from meta.evaluation.calibration import fit_evidence
from meta.evaluation.messaging import messages_of
from meta.evaluation.telling import beliefs_of, tell_adapted
from meta.evaluation.telling import tell as tell_belief
from meta.experience.rollout import Rollout
from meta.language.belief import DOUBT, Belief
from meta.language.codebook import choices
from meta.language.complete import Complete
from meta.language.evidence import Evidence
from meta.language.lexicon import lexicon
from meta.language.message import MESSAGE_DOUBT, Message, check_texts, heard
from meta.language.message import read_message as read
from meta.language.model_prior import model_prior
from meta.language.nearest import Nearest
from meta.language.translation import translated
from meta.learners.told import Told
from meta.training.trained import Adapted, Trained, check_adapted, load_trained
from pliant.given import Given, given_objects
from tasks.objects.object_set import ObjectSet
from tasks.objects.turning import all_turned
from tasks.registry import find_family


def believe(
    text: str, family: str, *, model: Complete | Nearest | None = None
) -> Belief:
    """Return what a text says about a family's hidden parameters, as a prior.

    Text is data: it is looked up, and never run or followed. What it does not speak of
    is left out: then the prior is the family's own range.

    Args:
        text: a description, such as "a wet bar of soap, heavy on the left".
        family: name of the family.
        model: a language model, such as `Endpoint(url=...)`, or a sentence encoder,
            `Nearest()`; by default a lexicon of everyday things, materials, surfaces
            and the codebook.

    Warns:
        UserWarning: where the lexicon answers in the place of a model that fails.
    """
    _check_text(text)
    hidden = find_family(family).hidden
    if isinstance(model, Nearest):
        return model.prior(text, hidden)
    return lexicon(text, hidden) if model is None else model_prior(text, hidden, model)


Words = str | Belief | Message | Sequence[Belief | Message]
"""A text, a belief or a message; or one belief or message per task."""


@overload
def tell(
    policy: Trained | str,
    words: Words,
    *,
    model: Complete | Nearest | None = None,
    doubt: float | None = None,
    object: Given = None,
    threads: int = 0,
) -> Trained: ...


@overload
def tell(
    policy: Adapted,
    words: Words,
    *,
    model: Complete | Nearest | None = None,
    doubt: float | None = None,
    object: Given = None,
    threads: int = 0,
) -> Adapted: ...


def tell(
    policy: Trained | Adapted | str,
    words: Words,
    *,
    model: Complete | Nearest | None = None,
    doubt: float | None = None,
    object: Given = None,
    threads: int = 0,
) -> Trained | Adapted:
    """Return a policy that is given a belief, and acts, adapts and evaluates as others.

    How its own inferences depend on what is hidden is fitted first, to 300 training
    tasks: seconds. A policy that was told something before is told anew at once.

    Args:
        policy: RMA, system identification, or RMA with an explorer; or where it is. One
            that has adapted keeps what it has lived, and is told between episodes.
        words: a text, a belief or another robot's message; or one belief or message per
            task that it will act on: of a team, per agent, in the order of its tasks.
        model: as for `believe`.
        doubt: how far not to trust what it is told, 0 to 1; by default 0.1 of messages,
            and 0.3 of anything else.
        object: what its tasks are about, as for `make_env`.
        threads: simulator threads; 0 means one per CPU.

    Raises:
        ValueError: for a policy that infers no latent, no belief, one about a parameter
            that its family does not have, or a message that `read_message` refuses.

    Warns:
        UserWarning: where a text says nothing of what is hidden.
    """
    silent = isinstance(words, str) and not words.strip()
    several = isinstance(words, Sequence) and words
    if silent or not (isinstance(words, Belief | Message) or several):
        raise ValueError(
            f"a policy is told words, or at least one belief; got {words!r}"
        )
    trained = load_trained(policy) if isinstance(policy, str) else policy
    adapted = trained if isinstance(trained, Adapted) else None
    if isinstance(trained, Adapted):
        trained = trained.policy
    if isinstance(words, str):
        words = believe(words, trained.cfg.family, model=model)
        if not words.about:
            warnings.warn(unheard(trained.cfg.family), stacklevel=2)
    said = [words] if isinstance(words, Belief | Message) else list(words)
    _check_said(said)
    objects = given_objects(object, trained.cfg.family)
    family = find_family(trained.cfg.family, objects=objects)
    beliefs = [heard(x, family) if isinstance(x, Message) else x for x in said]
    evidence = _evidence(trained, threads, objects)
    if doubt is None:
        # of what says nothing there is no doubt
        heard_all = all(isinstance(x, Message) or not x.about for x in said)
        doubt = MESSAGE_DOUBT if heard_all else DOUBT
    if adapted is not None:
        return tell_adapted(adapted, evidence, beliefs, doubt=doubt)
    return tell_belief(trained, evidence, beliefs, doubt=doubt)


def unheard(family: str) -> str:
    """Return the sentence for words that say nothing of what is hidden."""
    said = f"nothing in these words tells of what is hidden on {family}"
    made = find_family(family)
    telling = [p for p in made.hidden if p.name not in made.scenery]
    words = [next(iter(choices(p)), "") for p in (telling or made.hidden)]
    if known := [f'"{word}"' for word in words if word]:
        return f"{said}, as {', '.join(known)} would"
    return f"{said}, whose parameters have no words, such as Scalar(..., words=...)"


def inferred(adapted: Adapted) -> list[Belief]:
    """Return what a told policy believes of each task that it has adapted to.

    Parameters that its episodes say nothing of are left out.

    Raises:
        ValueError: for a policy that was told nothing; tell it `Belief()`.
    """
    check_adapted(adapted)
    return beliefs_of(adapted)


def messages(
    adapted: Adapted,
    *,
    outcome: Rollout | None = None,
    handled: str = "",
    advice: str = "",
    object: Given = None,
    threads: int = 0,
) -> list[Message]:
    """Return a message to another robot about each task that a policy adapted to.

    Args:
        adapted: RMA, system identification, or RMA with an explorer. What it was told
            is not passed on. Each agent of a team has a message of its own.
        outcome: what `adapted.measure` returned, to say how it went.
        handled: a name for the object that the tasks are about.
        advice: words for people, which no robot acts on.
        object: what the tasks are about, as for `make_env`.
        threads: as for `tell`, which need not have been called.

    Raises:
        ValueError: for a policy that infers no latent, or texts that are none, too long
            or cannot be printed.
    """
    # before the fit, which takes a while
    check_adapted(adapted)
    check_texts(handled=handled, advice=advice)
    objects = given_objects(object, adapted.policy.cfg.family)
    evidence = _evidence(adapted.policy, threads, objects)
    return messages_of(
        adapted, evidence, outcome=outcome, handled=handled, advice=advice
    )


def read_message(
    text: str,
    family: str,
    *,
    object: Given = None,
    sender: str = "",
    turned: float = 0.0,
) -> Message:
    """Read the JSON of a message about a task of a family.

    A robot of another family that handled the same objects can be heard, too. What it
    says of the insert is taken to the reader's frame and unit, by the objects' sizes.

    Args:
        text: the JSON.
        family: the reader's own.
        object: what the reader's tasks are about, as for `make_env`.
        sender: the sender's family, if it is another: no message says itself what it
            is to be read as.
        turned: by how much the objects lay turned about the vertical before the sender,
            counter-clockwise [degrees].

    Raises:
        ValueError: in one line, for anything else.

    Warns:
        UserWarning: in one line, of what means nothing to the reader and is left out.
    """
    objects = given_objects(object, family)
    reader = find_family(family, objects=objects)
    if not sender and not turned:
        return read(text, reader)
    theirs = None if objects is None else all_turned(objects, turned)
    other = find_family(sender or family, objects=theirs)
    found = translated(read(text, other), other, reader, turned=turned)
    if found.left_out:
        why = "; ".join(f"{name}: {reason}" for name, reason in found.left_out.items())
        warnings.warn(f"left out of the message: {why}", stacklevel=2)
    return found.message


def _check_said(said: Sequence[object]) -> None:
    if strange := [x for x in said if not isinstance(x, Belief | Message)]:
        raise ValueError(
            "a policy is told a text, or beliefs and messages, such as "
            f"pliant.believe(text, family); got {strange[0]!r:.60}"
        )


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise ValueError(f"what is believed is a text, got {text!r:.60}")


def _evidence(policy: Trained, threads: int, objects: ObjectSet | None) -> Evidence:
    """Return the evidence by which a policy was told, or fit it."""
    if isinstance(policy.learner, Told) and objects is None:
        return policy.learner.evidence
    return fit_evidence(policy, threads=threads, objects=objects)
