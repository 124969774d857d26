"""Learning to listen: what changes, what stays, and on what it learns."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

import meta.evaluation.listening as listening
import meta.learners.tuning as tuning
from meta.evaluation.calibration import fit_evidence
from meta.evaluation.listening import ListenCfg, Listening, listen
from meta.evaluation.telling import tell
from meta.language.belief import Belief, Names
from meta.language.hints import HintCfg
from meta.training.checkpoint import save_policy
from meta.training.trained import Trained, load_trained
from policies.distribution import divergence

CFG = ListenCfg(iterations=2, refit=1, seed=3, threads=1)
SPEC = "shipped:open-explore"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    def quickly(policy: Trained, **options: int) -> object:
        return fit_evidence(policy, tasks=60, imagined=128, **options)

    monkeypatch.setattr(listening, "fit_evidence", quickly)


@pytest.fixture(scope="module")
def policy() -> Trained:
    return load_trained(SPEC)


def changed(before: Trained, after: Trained) -> set[str]:
    return {
        name.split(".")[0] if name.startswith("policy/") else name.split("/")[0]
        for name, value in before.theta.items()
        if not torch.equal(value, after.theta[name])
    }


def test_the_acting_policy_and_the_adapter_learn_and_nothing_else(
    policy: Trained, tmp_path: Path
) -> None:
    kept = {k: v.clone() for k, v in policy.theta.items()}
    after = listen(policy, CFG)
    assert all(torch.equal(v, policy.theta[k]) for k, v in kept.items())
    assert changed(policy, after) == {
        *("policy/decide", "summary", "head", "average", "history")
    }
    assert after.iteration == policy.iteration + 2 == after.cfg.iterations
    steps = 2 * policy.cfg.worlds * policy.cfg.phases * 12
    assert after.env_steps == policy.env_steps + steps
    again = listen(policy, CFG)
    assert changed(after, again) == set()
    assert again.checksum == after.checksum != policy.checksum
    assert after.source == f"{policy.source}, after listening"
    save_policy(after, tmp_path / "told.safetensors")
    loaded = load_trained(str(tmp_path / "told.safetensors"))
    assert loaded.checksum == after.checksum
    assert changed(loaded, after) == set()


def test_it_learns_on_the_latents_that_it_acted_on(
    policy: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first step, the policy that learns is the one that acted."""
    seen: list[tuple[Tensor, Tensor]] = []

    def look(cfg, optimizer, leaves, new, drawn, rate) -> float:
        moved = divergence(drawn.old, new()).detach()
        seen.append((moved, drawn.valid))
        return 0.0

    monkeypatch.setattr(tuning, "improve", look)
    run = Listening(policy, ListenCfg(hints=HintCfg(wrong=0.5, silent=0.0), threads=1))
    run.step()
    [(moved, valid)] = seen
    assert valid.sum() > 1000
    assert (moved * valid).max() < 1e-5
    assert not torch.equal(run.learner.prior[0], run.learner.prior[1])  # pyright: ignore


def test_one_who_listens_is_told_as_any_other(policy: Trained) -> None:
    after = listen(policy, ListenCfg(iterations=1, threads=1))
    evidence = fit_evidence(after, tasks=60, imagined=128, threads=1)
    said = Belief(about={"mechanism": Names(probability={"drawer": 1.0})})
    told = tell(after, evidence, [said])
    assert not torch.equal(told.begin(1).adaptation["prior"], torch.zeros(1, 128))
    with pytest.raises(ValueError, match="the evidence is of a policy"):
        tell(policy, evidence, [said])


def test_a_policy_that_infers_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="a policy that infers a latent"):
        listen(load_trained("shipped:open"), ListenCfg(iterations=1, threads=1))


@pytest.mark.parametrize("given", [{"iterations": 0}, {"doubt": 1.5}, {"refit": 0}])
def test_what_trains_nothing_is_refused(given: dict) -> None:
    [(name, value)] = given.items()
    with pytest.raises(ValueError, match=f"need .*{name}.*, got {value}"):
        ListenCfg(**given)
