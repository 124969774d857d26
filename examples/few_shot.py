"""Few-shot learning without robots: regress sine waves, tell made-up characters apart.

    python examples/few_shot.py sinusoid maml meta-sgd fomaml reptile pretrained
    python examples/few_shot.py glyphs maml prototypical --seeds 0 1 2
    python examples/few_shot.py omniglot prototypical --folder PATH

Each learner is trained anew for each seed, and measured on tasks that training never
showed: the mean squared error, or the accuracy, over 1000 tasks, with the half-width of
a 95 % interval over the tasks.
"""

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

import pliant

FewShot = pliant.Maml | pliant.Reptile | pliant.Prototypical
WAYS, FILTERS = 5, 32
TEST_TASKS, TEST_BATCH = 1000, 50


def mlp() -> nn.Module:
    """Return the network of MAML's regression: two hidden layers of 40."""
    return nn.Sequential(
        *(nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1))
    )


def convolutions(outputs: int | None = None) -> nn.Module:
    """Return four convolutions with strides, and a linear layer if outputs are named.

    They are normalised over each task's own batch: predictions are transductive.
    """
    layers: list[nn.Module] = []
    for channels in (1, FILTERS, FILTERS, FILTERS):
        layers += [
            nn.Conv2d(channels, FILTERS, 3, stride=2, padding=1),
            nn.BatchNorm2d(FILTERS, track_running_stats=False),
            nn.ReLU(),
        ]
    head = [] if outputs is None else [nn.Linear(4 * FILTERS, outputs)]
    return nn.Sequential(*layers, nn.Flatten(), *head)


def regression(**settings: Any) -> FewShot:  # noqa: ANN401  (of `pliant.Maml`)
    """Return MAML on sine waves, one step at the published rate."""
    return pliant.Maml(mlp(), mse_loss, pliant.Sgd(0.01), **settings)


SINUSOID: dict[str, Callable[[], FewShot]] = {
    "maml": regression,
    "meta-sgd": lambda: regression(learn_rates=True),
    "fomaml": lambda: regression(first_order=True),
    # plain descent diverges here on the steepest waves
    "reptile": lambda: pliant.Reptile(
        mlp(), mse_loss, pliant.Adam(0.01, betas=(0.0, 0.999)), minibatches=2
    ),
    # without inner steps: one network for all tasks
    "pretrained": lambda: regression(steps=0),
}
IMAGES: dict[str, Callable[[], FewShot]] = {
    "maml": lambda: pliant.Maml(convolutions(WAYS), cross_entropy, pliant.Sgd(0.4)),
    "prototypical": lambda: pliant.Prototypical(convolutions()),
}
ADAPTING_STEPS = {"pretrained": 1}
"""Inner steps on test tasks, where they are not those of training."""


def train(
    learner: FewShot,
    family: pliant.SupervisedFamily,
    iterations: int,
    tasks: int | None,
    seed: int,
) -> None:
    """Train on tasks of the split `train`, with a step size that falls to 0."""
    regress = family.name == "sinusoid"
    shots, queries = (10, 10) if regress else (1, 5)
    tasks = tasks or (100 if regress else 16)
    rng = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(learner.parameters(), lr=3e-3)
    for iteration in range(iterations):
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - iteration / iterations)
        drawn = family.sample("train", tasks, rng, shots=shots, queries=queries)
        optimizer.zero_grad()
        learner(*drawn).mean().backward()
        optimizer.step()


def measure(
    learner: FewShot, family: pliant.SupervisedFamily, name: str
) -> tuple[float, float]:
    """Return the mean over test tasks, and the half-width of its 95 % interval.

    It is the squared error after adapting in regression, otherwise the accuracy.
    """
    regress = family.name == "sinusoid"
    shots, queries = (10, 100) if regress else (1, 5)
    steps = {} if name not in ADAPTING_STEPS else {"steps": ADAPTING_STEPS[name]}
    rng = torch.Generator().manual_seed(2**32)
    scores: list[Tensor] = []
    for _ in range(TEST_TASKS // TEST_BATCH):
        support, query = family.sample(
            family.splits[1], TEST_BATCH, rng, shots=shots, queries=queries
        )
        with torch.no_grad():
            predicted = learner.predict(learner.adapt(support, **steps), query.x)
        if regress:
            scores.append((predicted - query.y).square().mean((1, 2)))
        else:
            scores.append((predicted.argmax(-1) == query.y).float().mean(1))
    score = torch.cat(scores)
    return score.mean().item(), 1.96 * score.std().item() / math.sqrt(len(score))


def main() -> None:
    """Train and measure what is asked for."""
    cli = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cli.add_argument("family", choices=["sinusoid", "glyphs", "omniglot"])
    cli.add_argument("learners", nargs="+", choices=sorted(SINUSOID | IMAGES))
    cli.add_argument("--iterations", type=int, default=2000, help="to train for")
    cli.add_argument("--tasks", type=int, help="of an iteration; 100, of images 16")
    cli.add_argument("--seeds", type=int, nargs="+", default=[0])
    cli.add_argument("--folder", help="of Omniglot: holds images_background")
    args = cli.parse_args()
    torch.set_num_threads(1)
    makers = SINUSOID if args.family == "sinusoid" else IMAGES
    families = {
        "sinusoid": pliant.Sinusoid,
        "glyphs": lambda: pliant.Glyphs(rotations=True),
        "omniglot": lambda: pliant.Omniglot(args.folder),
    }
    family = families[args.family]()
    for name in args.learners:
        for seed in args.seeds:
            torch.manual_seed(seed)  # of the initial weights
            learner, start = makers[name](), time.process_time()
            train(learner, family, args.iterations, args.tasks, seed)
            mean, width = measure(learner, family, name)
            spent = time.process_time() - start
            print(
                f"{args.family} {name} seed {seed}: {mean:.4f} +- {width:.4f} "
                f"({args.iterations} iterations, {spent:.0f} s of CPU)",
                flush=True,
            )


if __name__ == "__main__":
    main()
