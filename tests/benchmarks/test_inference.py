"""The study of what keeps inferring policies from the oracle."""

import torch

from benchmarks.extrapolation import leaving
from benchmarks.inference import Knowing
from meta.evaluation.calibration import known
from meta.learners.rma import Rma
from meta.learners.told import adapter_of
from meta.training.trained import load_trained
from tasks.registry import find_family, make_env


def test_told_the_truth_it_acts_as_its_teacher_who_sees_it() -> None:
    policy = load_trained("shipped:drive-park-explore")
    family = find_family("drive-park")
    tasks = family.sample("held-out", 0, 4)
    adapter = adapter_of(policy.learner)
    assert isinstance(adapter, Rma)
    env = make_env(family, worlds=8, oracle=True, threads=1)
    env.assign([task for task in tasks for _ in range(2)])
    seen = env.reset(torch.Generator().manual_seed(0))
    teacher = adapter.teacher.begin(policy.theta, 4)
    wanted = adapter.teacher.act(policy.theta, teacher)(seen)
    knowing = Knowing(adapter, known(policy, family, tasks)[1])
    blind = seen.clone()
    blind[:, family.obs_dim :] = 0
    got = knowing.act(policy.theta, knowing.begin(policy.theta, 4))(blind)
    torch.testing.assert_close(got.mean, wanted.mean)
    assert wanted.mean.unflatten(0, (4, 2)).mean(1).std(0).max() > 0.01


def test_ranges_are_left_one_at_a_time_and_scenery_stays() -> None:
    found = [leaving(find_family(name)) for name in ("grasp", "drive-park")]
    assert found == [
        ["extrapolation:insert_x", "extrapolation"],
        ["extrapolation:gain", "extrapolation:bias", "extrapolation"],
    ]
