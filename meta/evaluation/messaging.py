"""Messages out of what a policy has worked out about its tasks."""

import math
from collections.abc import Sequence

from meta.evaluation.telling import beliefs_of, untold
from meta.experience.rollout import Rollout
from meta.language.evidence import Evidence
from meta.language.message import Message, Outcome
from meta.language.report import spoken
from meta.training.trained import Adapted
from tasks.registry import find_family


def messages_of(
    adapted: Adapted,
    evidence: Evidence,
    *,
    outcome: Rollout | None = None,
    handled: str = "",
    advice: str = "",
) -> list[Message]:
    """Return a message about each task that a policy has adapted to.

    It says what the sender's own steps tell. What the sender was told it does not pass
    on, so that a rumour does not come back as another's experience. In a team each
    agent has a message of its own, in the order of the tasks.

    Args:
        adapted: the policy.
        evidence: fitted to it; see `calibration.fit_evidence`.
        outcome: episodes with the tasks, equally many of each, grouped.
        handled: a name for the object.
        advice: words for people.

    Raises:
        ValueError: for the evidence of another policy, or a policy that infers nothing.
    """
    policy, memory = untold(adapted.policy), adapted.adaptation["memory"]
    own = adapted._replace(policy=policy, adaptation={"memory": memory})
    beliefs = beliefs_of(own, evidence)
    family = find_family(policy.cfg.family)
    outcomes = _outcomes(outcome, adapted.tasks)
    who = [f", {agent}" for agent in family.agents] or [""]
    return [
        Message(
            sender=f"{policy.source}{who[i % len(who)]}"[-200:],
            family=family.name,
            belief=belief,
            episodes=math.ceil(steps / family.horizon),
            handled=handled,
            outcome=went,
            advice=advice,
            text=spoken(belief),
        )
        for i, (belief, steps, went) in enumerate(
            zip(beliefs, memory[:, -1].tolist(), outcomes, strict=True)
        )
    ]


def _outcomes(rollout: Rollout | None, tasks: int) -> Sequence[Outcome | None]:
    if rollout is None:
        return [None] * tasks
    returns = rollout.returns.reshape(tasks, -1).mean(1).tolist()
    success = rollout.success.float().reshape(tasks, -1).mean(1).tolist()
    return [
        Outcome(mean_return=r, success=s) for r, s in zip(returns, success, strict=True)
    ]
