"""The cost of learning beside collecting, and the gain of batching over tasks."""

import time
from dataclasses import replace

import torch

from benchmarks.row import Row
from meta.experience.batch import Batch
from meta.experience.rollout import by_task, collect
from meta.machine.devices import simulator_threads
from meta.recipes.registry import make_config
from meta.training.build import make_trainer
from meta.training.trainer import Trainer
from policies.gaussian import Gaussian

TASKS, EPISODES = 40, 20


def _trainer() -> Trainer:
    cfg = make_config("cheetah-direction")
    return make_trainer(replace(cfg, tasks=TASKS, episodes=EPISODES))


def learner_share(repeats: int = 3) -> Row:
    """Share of an iteration that adapting and updating take."""
    trainer = _trainer()
    spent = {"adapt": 0.0, "update": 0.0}
    for name in spent:
        _timed(trainer, name, spent)
    trainer.step()
    spent |= dict.fromkeys(spent, 0.0)
    start = time.perf_counter()
    for _ in range(repeats):
        trainer.step()
    total = time.perf_counter() - start
    learning = sum(spent.values())
    return Row(
        what=f"learner's share of a {TASKS} x {EPISODES} x 100 iteration",
        ratio=learning / total,
        most=0.30,
        figures=f"{learning / repeats:.2f} of {total / repeats:.2f} s, "
        f"{trainer.cfg.learner.epochs} epochs",
    )


def batched_over_loop() -> Row:
    """Inner and outer update of 40 tasks at once over a Python loop over the tasks.

    On few episodes, as adaptation is meant to run: 40 tasks x 2 episodes x 100 steps.
    """
    cfg = replace(make_config("cheetah-direction"), tasks=TASKS, episodes=2)
    trainer = make_trainer(cfg)
    learner, theta, env = trainer.learner, trainer.theta, trainer.env
    tasks = env.family.sample("train", 0, TASKS)
    env.assign([task for task in tasks for _ in range(cfg.episodes)])
    rng = torch.Generator().manual_seed(0)
    adaptation = learner.begin(theta, TASKS)
    with simulator_threads():
        pre = by_task(collect(env, learner.act(theta, adaptation), rng), TASKS)
        adaptation = learner.adapt(theta, adaptation, pre)
        post = by_task(collect(env, learner.act(theta, adaptation), rng), TASKS)
    batches = (
        learner.inner_batch(theta, pre),
        learner.outer_batch(theta, post),
    )  # pyright: ignore

    def batched() -> None:
        loss, _ = learner.objective(theta, [batches[0]], batches[1])
        loss.backward()

    def loop() -> None:
        for i in range(TASKS):
            one = [_row(b, i) for b in batches]
            loss, _ = learner.objective(theta, [one[0]], one[1])
            (loss / TASKS).backward()

    fast, slow = _seconds(batched, 9), _seconds(loop, 3)
    return Row(
        what="inner and outer update, batched over a loop over 40 tasks",
        ratio=slow / fast,
        least=5.0,
        figures=f"{fast * 1e3:.0f} / {slow * 1e3:.0f} ms",
    )


def _row(batch: Batch, i: int) -> Batch:
    rows = {
        name: value[i : i + 1]
        for name, value in batch._asdict().items()
        if not isinstance(value, Gaussian)
    }
    return batch._replace(**rows, old=Gaussian(*(v[i : i + 1] for v in batch.old)))


def _seconds(call, repeats: int) -> float:  # noqa: ANN001
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def _timed(trainer: Trainer, name: str, spent: dict[str, float]) -> None:
    """Make the learner's method add its wall-clock time to `spent`."""
    inner = getattr(trainer.learner, name)

    def timed(*args: object) -> object:
        start = time.perf_counter()
        result = inner(*args)
        spent[name] += time.perf_counter() - start
        return result

    setattr(trainer.learner, name, timed)
