"""Every shipped policy loads, and holds the numbers that it was shipped with."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from meta.learners.explore_cfg import ExploreCfg
from meta.learners.maml_cfg import MamlCfg
from meta.learners.rma_cfg import RmaCfg
from meta.recipes.registry import make_config
from meta.theta import Theta
from meta.training.config import TrainCfg
from meta.training.run import RESUMABLE
from meta.training.trained import LARGE, load_trained, shipped_policies

HASHES = Path(__file__).with_name("shipped.txt")
"""Name and hash of each, as first shipped: written anew only with the policy."""


def theta_hash(theta: Theta) -> str:
    digest = hashlib.sha256()
    for name in sorted(theta):
        value = theta[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()[:16]


def test_every_shipped_policy_loads_bit_for_bit() -> None:
    stored = dict(line.split() for line in HASHES.read_text().splitlines())
    found = {n: theta_hash(load_trained(f"shipped:{n}").theta) for n in stored}
    assert len(found) >= 115
    assert found == stored


def test_every_shipped_policy_has_a_stored_hash() -> None:
    stored = {line.split()[0] for line in HASHES.read_text().splitlines()}
    assert set(shipped_policies()) == stored


def test_shipped_policies_were_trained_as_their_methods_are_today() -> None:
    """Files of the first format say so in its words.

    Adapters read by the teacher's moments then, and inferred by their last weights; for
    longer they counted all steps alike, and learned from an iteration's tasks alone.
    They took 40 steps of Adam in an iteration until PPO's baseline was a network.
    What was trained on a GPU is older than advantages that weigh what they sum up.
    """
    for name in shipped_policies():
        cfg = load_trained(f"shipped:{name}").cfg
        ours = make_config(cfg.family, cfg.method)
        if isinstance(ours.learner, MamlCfg) and name.endswith(LARGE):
            ours = replace(ours, learner=replace(ours.learner, weighed_summary=False))
        if isinstance(ours.learner, RmaCfg) and not cfg.learner.own_moments:
            first = replace(ours.learner, own_moments=False, averaging=0.0)
            ours = replace(ours, learner=first)
        steps, plain = {"regression_epochs": 40}, {"weighs": False, "replay": 0}
        if isinstance(ours.learner, RmaCfg) and cfg.learner != ours.learner:
            first = steps if cfg.learner.weighs else steps | plain
            ours = replace(ours, learner=replace(ours.learner, **first))
        if isinstance(ours.learner, ExploreCfg) and cfg.learner != ours.learner:
            first = steps if cfg.learner.adapter.weighs else steps | plain
            adapter = replace(ours.learner.adapter, **first)
            ours = replace(ours, learner=replace(ours.learner, adapter=adapter))
        free = ["seed", *RESUMABLE, *(["tasks"] if name.endswith(LARGE) else [])]
        kept = {k: getattr(cfg, k) for k in free}
        assert replace(ours, **kept) == cfg, name


def test_seeds_of_a_method_were_trained_alike() -> None:
    """Otherwise an interval over them would be over two methods."""
    first: dict[str, TrainCfg] = {}
    for name in shipped_policies():
        cfg = load_trained(f"shipped:{name}").cfg
        one = first.setdefault(name.partition("-seed")[0], cfg)
        free = {k: getattr(one, k) for k in ("seed", *RESUMABLE)}
        assert replace(cfg, **free) == one, name


@pytest.mark.parametrize("change", ["value", "name"])
def test_the_hash_sees_a_change(change: str) -> None:
    theta = dict(load_trained("shipped:strike").theta)
    before = theta_hash(theta)
    name = next(n for n in theta if n.startswith("policy/"))
    if change == "value":
        theta[name] = theta[name].detach().clone()
        theta[name].view(-1)[0] += 1e-6
    else:
        theta[f"{name}s"] = theta.pop(name)
    assert theta_hash(theta) != before
