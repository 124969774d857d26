"""A learned update rule against Adam and SGD, each tuned, on ten points of sine waves.

    python examples/update_rule.py --seeds 0 1 2
    python examples/update_rule.py --seeds 0 1 2 --start learned

Every method moves the same network from the same parameters: drawn anew for each task,
or (`--start learned`) learned along with the rule, by each seed. The rule is trained to
take 20 steps, for the loss on support and query set together. Rivals are tuned on 100
training tasks for each figure of the table, which takes most of the time: the mean
squared error on support and query sets after 20 and 40 steps, on 300 tasks of the split
held-out. After `+-` stands half of a 95 % interval: over the seeds if there are several
(Student's t), otherwise over the tasks.
"""

import argparse
import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import mse_loss

import pliant
from meta.inner import Rule, Seen, State, inner_steps
from meta.theta import Params
from tasks.supervised.contract import Examples

STEPS, WIDTH, TASKS, LR = 20, 40, 8, 3e-3
SHOWN, SETS = (20, 40), ("support", "query")
TINY = 1e-3
"""Loss below which training asks for little more."""
TUNING_TASKS, TEST_TASKS, BATCH = 100, 300, 100
TUNING_SEED, TEST_SEED = 2**31, 2**32
ADAM_RATES = (0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12)
SGD_RATES = (1e-4, 3e-4, 0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1)
BETAS = ((0.9, 0.999), (0.8, 0.95), (0.6, 0.9), (0.3, 0.8))
MOMENTA = (0.5, 0.9)
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""97.5 % quantiles of Student's t, by the number of seeds."""
Start = Params | None
"""Where all tasks start; None: each from parameters drawn anew."""


@dataclass(frozen=True)
class Falling:
    """A rule whose step size falls linearly, to 0 after some steps."""

    rule: Rule
    steps: int

    @property
    def rate(self) -> float:
        """Step size at the first step."""
        return self.rule.rate

    def begin(self, params: Params) -> State:
        """Return the rule's own state."""
        return self.rule.begin(params)

    def direction(self, seen: Seen, state: State) -> tuple[Params, State]:
        """Return the rule's own directions, times what is left of the step size."""
        directions, state = self.rule.direction(seen, state)
        left = max(0.0, 1 - (seen.step - 1) / self.steps)
        return {k: left * d for k, d in directions.items()}, state


def mlp(width: int = WIDTH) -> nn.Module:
    """Return the network of MAML's regression: two hidden layers."""
    return nn.Sequential(
        *(nn.Linear(1, width), nn.ReLU()),
        *(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)),
    )


def drawn(tasks: int, width: int = WIDTH) -> Params:
    """Return parameters for each task, by torch's own initialisation."""
    stacked, _ = stack_module_state([mlp(width) for _ in range(tasks)])
    return {name: value.detach() for name, value in stacked.items()}


def train(seed: int, iterations: int, *, learn_start: bool) -> pliant.RuleLearner:
    """Train a rule on tasks of the split `train`, with a step size that falls to 0.

    It is measured on the support and the query set together, by the logarithm of the
    loss: the gradient through the steps of the few tasks that blow up would otherwise
    be all that is followed.
    """
    torch.manual_seed(seed)  # of all initial parameters
    rng = torch.Generator().manual_seed(seed)
    rule = pliant.LearnedRule(latest=STEPS)
    learner = pliant.RuleLearner(mlp(), mse_loss, rule, steps=STEPS)
    optimizer = torch.optim.Adam(learner.parameters(), lr=LR)
    for iteration in range(iterations):
        warm = min(1.0, (iteration + 1) / 10)
        optimizer.param_groups[0]["lr"] = LR * warm * (1 - iteration / iterations)
        support, query = pliant.Sinusoid().sample(
            "train", TASKS, rng, shots=10, queries=10
        )
        both = Examples(
            torch.cat([support.x, query.x], 1), torch.cat([support.y, query.y], 1)
        )
        start = None if learn_start else drawn(TASKS)
        optimizer.zero_grad()
        (learner.losses(support, both, start=start) + TINY).log().mean().backward()
        nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()
    return learner


@torch.no_grad()
def curves(
    rule: Rule, split: str, start: Start, *, steps: int, width: int = WIDTH
) -> Tensor:
    """Return the losses on both sets after each step, of shape `task step set`."""
    network = mlp(width)

    def loss(params: Params, batch: Examples) -> Tensor:
        return mse_loss(functional_call(network, params, (batch.x,)), batch.y)

    def one(begin: Params, support: Examples, query: Examples) -> Tensor:
        path = inner_steps(loss, begin, [support] * steps, rule)
        losses = [loss(params, e) for params in path for e in (support, query)]
        return torch.stack(losses).view(steps, 2)

    tuning = split == "train"
    seed, count = (TUNING_SEED, TUNING_TASKS) if tuning else (TEST_SEED, TEST_TASKS)
    rng = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # of all initial parameters
    found: list[Tensor] = []
    for _ in range(count // BATCH):
        sets = pliant.Sinusoid().sample(split, BATCH, rng, shots=10, queries=100)
        mapped = vmap(one, in_dims=(0 if start is None else None, 0, 0))
        found.append(mapped(drawn(BATCH, width) if start is None else start, *sets))
    return torch.cat(found)


def rivals() -> dict[str, list[Rule]]:
    """Return the settings that each rival is tuned among."""
    adams = [pliant.Adam(r, betas=b) for r, b in itertools.product(ADAM_RATES, BETAS)]
    sgds = [pliant.Sgd(r, m) for r, m in itertools.product(SGD_RATES, MOMENTA)]
    return {
        "Adam, rate": [pliant.Adam(rate) for rate in ADAM_RATES],
        "Adam, rate, betas, fall": _and_falling(adams),
        "SGD, rate, momentum, fall": _and_falling(sgds),
    }


def _and_falling(rules: Sequence[Rule]) -> list[Rule]:
    return [*rules, *(Falling(rule, steps) for rule in rules for steps in SHOWN)]


def shown(rule: Rule, split: str, start: Start, width: int) -> Tensor:
    """Return the losses of the table, of shape `task step set`."""
    losses = curves(rule, split, start, steps=SHOWN[-1], width=width)
    return losses[:, [step - 1 for step in SHOWN]]


def contest(start: Start, width: int) -> dict[str, Tensor]:
    """Return each rival's losses, each by the settings that are best on training tasks.

    Networks of another width than that of training have one rival, Adam.
    """
    found: dict[str, Tensor] = {}
    count = None if width == WIDTH else 1
    for name, rules in itertools.islice(rivals().items(), count):
        scores = [shown(rule, "train", start, width).mean(0) for rule in rules]
        best = torch.stack(scores).nan_to_num(nan=math.inf).argmin(0)
        used = [rules[i] for i in best.flatten().tolist()]
        print(f"{name}, width {width}: {used}", flush=True)
        known = {r: shown(r, "held-out", start, width) for r in dict.fromkeys(used)}
        cells = [known[r].flatten(1)[:, i] for i, r in enumerate(used)]
        found[name] = torch.stack(cells, 1).unflatten(1, best.shape)
    return found


def compare(seeds: Sequence[int], iterations: int, kind: str) -> dict[str, Tensor]:
    """Return the losses of all methods, each of shape `seed task step set`."""
    learn_start = kind == "learned"
    found: dict[str, list[Tensor]] = {}
    for seed in seeds:
        began = time.process_time()
        learner = train(seed, iterations, learn_start=learn_start)
        spent = time.process_time() - began
        print(f"seed {seed}: trained in {spent:.0f} s of CPU", flush=True)
        own = {k: v.detach() for k, v in learner.module.named_parameters()}
        # what starts from parameters drawn anew is the same for all seeds
        start, again = (own, True) if learn_start else (None, seed == seeds[0])
        for width in (WIDTH,) if learn_start else (WIDTH, WIDTH // 2, WIDTH * 2):
            rows = {"learned rule": shown(learner.rule, "held-out", start, width)}
            rows |= contest(start, width) if again else {}
            for name, losses in rows.items():
                found.setdefault(f"{name} | {width}", []).append(losses)
    return {name: torch.stack(losses) for name, losses in found.items()}


def interval(losses: Tensor) -> tuple[float, float]:
    """Return the mean of losses, `seed task`, and half of its 95 % interval."""
    seeds = len(losses)
    if seeds == 1:
        return losses.mean().item(), 1.96 * losses.std().item() / losses.numel() ** 0.5
    means = losses.mean(1)
    return means.mean().item(), (STUDENT[seeds] * means.std() / seeds**0.5).item()


def main() -> None:
    """Train, tune and print the table."""
    cli = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cli.add_argument("--seeds", type=int, nargs="+", default=[0], help="at most 5")
    cli.add_argument("--iterations", type=int, default=150, help="to train for")
    cli.add_argument("--start", choices=["drawn", "learned"], default="drawn")
    args = cli.parse_args()
    if len(args.seeds) > max(STUDENT):
        cli.error(f"--seeds takes at most {max(STUDENT)}, got {len(args.seeds)}")
    torch.set_num_threads(1)
    for name, losses in compare(args.seeds, args.iterations, args.start).items():
        for i, kind in enumerate(SETS):
            cells = [interval(losses[:, :, j, i]) for j in range(len(SHOWN))]
            row = " | ".join(f"{mean:.3f} +- {half:.3f}" for mean, half in cells)
            print(f"{name} | {kind} | {row}")


if __name__ == "__main__":
    main()
