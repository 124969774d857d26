"""Telling: a policy that infers is given beliefs, and is asked for its own."""

from collections.abc import Container, Sequence
from dataclasses import replace

import torch

from meta.language.belief import DOUBT, Belief, log_weights
from meta.language.evidence import Evidence
from meta.learners.told import Told, adapter_of
from meta.training.trained import Adapted, Trained

_TOLD = ", told"
"""Words after the place of a policy that is told something."""


def tell(
    policy: Trained,
    evidence: Evidence,
    beliefs: Sequence[Belief],
    *,
    doubt: float = DOUBT,
) -> Trained:
    """Return a policy that is given a belief: one for all its tasks, or one per task.

    Of a team, each agent's row is a task.

    Args:
        policy: RMA, system identification, or RMA with an explorer; what it was told
            before is forgotten.
        evidence: fitted to it; see `calibration.fit_evidence`.
        beliefs: one, or one per task that it will act on.
        doubt: share of doubt about each parameter, 0 to 1: how far not to trust.

    Raises:
        ValueError: for the evidence of another policy, a doubt outside [0, 1], or a
            belief about a parameter that its family does not have.
    """
    if evidence.checksum != policy.checksum:
        raise ValueError(
            f"the evidence is of a policy with checksum {evidence.checksum[:12]}, and "
            f"{policy.source} has {policy.checksum[:12]}"
        )
    rows = [
        log_weights(b, evidence.parameters, evidence.numbers, doubt) for b in beliefs
    ]
    before = untold(policy)
    learner = Told(before.learner, evidence, torch.stack(rows).float())
    return replace(before, learner=learner, source=before.source + _TOLD)


def tell_adapted(
    adapted: Adapted,
    evidence: Evidence,
    beliefs: Sequence[Belief],
    *,
    doubt: float = DOUBT,
) -> Adapted:
    """Return an adapted policy that is given beliefs between episodes.

    What it has lived stays; what it was told before is forgotten.

    Args:
        adapted: the policy.
        evidence: fitted to it.
        beliefs: one, or one per task.
        doubt: as for `tell`.

    Raises:
        ValueError: as `tell`, or for another number of beliefs than of tasks.
    """
    told = tell(adapted.policy, evidence, beliefs, doubt=doubt)
    begun = told.begin(adapted.tasks)
    kept = {"memory": adapted.adaptation["memory"]}
    return adapted._replace(policy=told, adaptation=begun.adaptation | kept)


def untold(policy: Trained) -> Trained:
    """Return a policy as it was before it was told anything."""
    learner = policy.learner
    if not isinstance(learner, Told):
        return policy
    return replace(
        policy, learner=learner.inner, source=policy.source.removesuffix(_TOLD)
    )


def beliefs_of(
    adapted: Adapted, evidence: Evidence | None = None, told: Container[str] = ()
) -> list[Belief]:
    """Return what a policy believes of each of its tasks, from its steps and words.

    Args:
        adapted: the policy, told something or not.
        evidence: fitted to it; that by which it was told, by default.
        told: parameters that it was told of. Others are left out where the steps tell
            nothing of them.

    Raises:
        ValueError: for the evidence of another policy, or none.
    """
    policy = adapted.policy
    if evidence is None and isinstance(policy.learner, Told):
        evidence = policy.learner.evidence
    if evidence is None:
        raise ValueError(
            f"{policy.source} was told nothing: tell it something, if only Belief()"
        )
    if evidence.checksum != policy.checksum:
        raise ValueError(f"the evidence is of another policy than {policy.source}")
    memory = adapted.adaptation["memory"]
    with torch.no_grad():
        adapter = adapter_of(untold(policy).learner)
        latent = adapter.infer(policy.theta, memory)
    steps, prior = memory[:, -1].long(), adapted.adaptation.get("prior")
    found: dict[int, Belief] = {}
    for i, own in enumerate(evidence.agents):
        agent = torch.arange(len(steps), device=steps.device) % len(evidence.agents)
        for n in steps.unique().tolist():
            rows = (steps == n) & (agent == i)
            said = own.believe(
                latent[rows], n, None if prior is None else prior[rows], told
            )
            found |= zip(rows.nonzero()[:, 0].tolist(), said, strict=True)
    return [found[row] for row in sorted(found)]
