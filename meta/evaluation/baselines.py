"""The baselines that a policy is compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from meta.evaluation.results import levels
from meta.registry import CEILING, FLOORS, METHODS
from meta.training.trained import SHIPPED, Trained, load_trained, shipped_policies
from tasks.registry import PLIANTS_OWN


def with_shipped(
    policy: Trained,
    others: Sequence[Trained],
    device: torch.device | str = "cpu",
    *,
    alone: bool = False,
) -> dict[str, list[Trained]]:
    """Return the policies that another is compared with, by method and training seed.

    Args:
        policy: what is evaluated; its own method is left out.
        others: take the place of what ships of their methods for the policy's family.
        device: what is loaded goes there.
        alone: of what ships, take the robust baseline and the oracle only.

    Raises:
        ValueError: if there is no robust baseline or no oracle for a family of Pliant's
            own, saying how to train one; for an external one they may be missing.
    """
    family, groups = policy.cfg.family, dict[str, list[Trained]]()
    for trained in others:
        groups.setdefault(trained.cfg.method, []).append(trained)
    ships = {method: shipped_policies(family, method) for method in METHODS}
    there = {*groups, *(method for method, names in ships.items() if names)}
    needed = levels(there)[1:]
    for method in needed if alone else METHODS:
        own = method == policy.cfg.method and method not in needed
        if method in groups or own:
            continue
        if not ships[method] and method in needed and family in PLIANTS_OWN:
            raise ValueError(
                f"no {method} baseline ships for {family}; train one with: pliant "
                f"train {family} --method {method}, then give --beside FOLDER"
            )
        if names := ships[method]:
            groups[method] = [load_trained(f"{SHIPPED}{n}", device) for n in names]
    return groups


def taken_out(
    groups: dict[str, list[Trained]],
) -> tuple[list[Trained], list[Trained]]:
    """Take the robust baseline and the oracle out of what `with_shipped` returned."""
    floor = next((groups.pop(name) for name in FLOORS if name in groups), [])
    return floor, groups.pop(CEILING, [])


def sources(
    groups: Mapping[str, Sequence[Trained]],
) -> dict[str, list[dict[str, Any]]]:
    """Describe the policies that were measured, by method and training seed.

    Returns:
        Of each policy where it came from, how long it was trained, the checksum of its
        file, and the whole configuration that it was trained with.
    """
    return {
        name: [
            {
                "source": t.source,
                "method": t.cfg.method,
                "seed": t.cfg.seed,
                "iteration": t.iteration,
                "env_steps": t.env_steps,
                "checksum": t.checksum,
                "config": asdict(t.cfg),
            }
            for t in group
        ]
        for name, group in groups.items()
    }


def check_policies(
    policies: Sequence[Trained],
    floor: Sequence[Trained],
    oracle: Sequence[Trained],
    rivals: Sequence[Trained],
) -> None:
    """Refuse policies of several families, or under another name than their method's.

    Raises:
        ValueError: saying which.
    """
    if not policies:
        raise ValueError("need at least one policy")
    families = {t.cfg.family for t in (*policies, *floor, *oracle, *rivals)}
    if len(families) > 1:
        raise ValueError(
            "policy and baselines are of different families: "
            f"{', '.join(sorted(families))}"
        )
    methods = {t.cfg.method for t in policies}
    if len(methods) > 1:
        raise ValueError(
            "policies are pooled as training seeds of one method, got "
            f"{', '.join(sorted(methods))}"
        )
    taken = methods | {CEILING, *(trained.cfg.method for trained in floor)}
    for trained in rivals:
        if trained.cfg.method in taken:
            raise ValueError(
                f"{trained.source} was trained with method {trained.cfg.method!r}: it "
                "is no rival of another method"
            )
    for names, group in ((FLOORS, floor), ((CEILING,), oracle)):
        allowed = [n for n in names if n == group[0].cfg.method] if group else []
        for trained in group:
            if trained.cfg.method not in allowed:
                raise ValueError(
                    f"{trained.source} was trained with method {trained.cfg.method!r}, "
                    f"not as the {' or '.join(allowed or names)} baseline"
                )
