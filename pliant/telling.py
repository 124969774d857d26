"""Public functions about beliefs: what a text says, and a policy that is told it."""

from collections.abc import Sequence

from meta.evaluation.calibration import fit_evidence
from meta.evaluation.telling import beliefs_of
from meta.evaluation.telling import tell as tell_belief
from meta.language.belief import DOUBT, Belief
from meta.language.complete import Complete
from meta.language.lexicon import lexicon
from meta.language.model_prior import model_prior
from meta.learners.told import Told
from meta.training.trained import Adapted, Trained, load_trained
from tasks.registry import find_family


def believe(text: str, family: str, *, model: Complete | None = None) -> Belief:
    """Return what a text says about a family's hidden parameters, as a prior.

    Text is data: it is looked up, and never run or followed. What it does not speak of
    is left out: then the prior is the family's own range.

    Args:
        text: a description, such as "a wet bar of soap, heavy on the left".
        family: name of the family.
        model: a language model, such as `Endpoint(url=...)`; by default a lexicon of
            everyday things, materials, surfaces and the codebook.

    Warns:
        UserWarning: where the lexicon answers in the place of a model that fails.
    """
    hidden = find_family(family).hidden
    return lexicon(text, hidden) if model is None else model_prior(text, hidden, model)


def tell(
    policy: Trained | str,
    words: str | Belief | Sequence[Belief],
    *,
    model: Complete | None = None,
    doubt: float = DOUBT,
    threads: int = 0,
) -> Trained:
    """Return a policy that is given a belief, and acts, adapts and evaluates as others.

    How its own inferences depend on what is hidden is fitted first, to 300 training
    tasks: seconds. A policy that was told something before is told anew at once.

    Args:
        policy: RMA, system identification, or RMA with an explorer; or where it is.
        words: a text, a belief, or one belief per task that it will act on.
        model: as for `believe`.
        doubt: how far not to trust what it is told, 0 to 1.
        threads: simulator threads; 0 means one per CPU.

    Raises:
        ValueError: for a policy that infers no latent, no belief, or one about a
            parameter that its family does not have.
    """
    if not isinstance(words, str | Belief) and not words:
        raise ValueError("a policy is told a text, or at least one belief; got none")
    trained = load_trained(policy) if isinstance(policy, str) else policy
    if isinstance(words, str):
        words = believe(words, trained.cfg.family, model=model)
    beliefs = [words] if isinstance(words, Belief) else list(words)
    learner = trained.learner
    if isinstance(learner, Told):
        evidence = learner.evidence
    else:
        evidence = fit_evidence(trained, threads=threads)
    return tell_belief(trained, evidence, beliefs, doubt=doubt)


def inferred(adapted: Adapted) -> list[Belief]:
    """Return what a told policy believes of each task that it has adapted to.

    Parameters that its episodes say nothing of are left out.

    Raises:
        ValueError: for a policy that was told nothing; tell it `Belief()`.
    """
    return beliefs_of(adapted)
