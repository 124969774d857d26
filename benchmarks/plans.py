"""Measure what knowing is worth to a team that decides once, by trying every pair.

    python -m benchmarks.plans crossing
    python -m benchmarks.plans carry

No policy is asked: of a grid of plans every pair is driven in the simulator. *Told* is
the best pair of each team. *Robust* is the pair that is best over training teams, in
`crossing` one where east is due first and one where north is. *Own end* is the most
that plans can do of which each depends on the friction at its own end, in quarters of
the range, and not on the other's: they are fitted to the very teams that they are
measured on.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
import tyro
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from tyro.conf import Positional

from benchmarks.study import text_of
from meta.evaluation.measure import MEASURE
from meta.evaluation.statistics import estimate, mean, share_lost
from meta.experience.rollout import collect
from meta.machine.seeds import derived_generator
from policies.gaussian import Gaussian
from tasks.env import Env
from tasks.teams.carry import SPEED, Carry
from tasks.teams.carton import HEIGHT, LIFT
from tasks.teams.crossing import Crossing

KINDS = 4
"""Kinds of friction that an agent that knows its own tells apart."""
HASTE = 6.0
"""Rate at which a scripted paddle goes to its place [1/s]."""
Returns = Float[np.ndarray, "team plan plan"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the study."""

    family: Annotated[Literal["crossing", "carry"], Positional]
    """The family."""
    teams: int = 60
    """Teams of the training split that plans are chosen on, and of the held-out one."""
    plans: int = 9
    """Plans of an agent, evenly spaced: a car's speed, or how hard an arm presses."""
    seed: int = 31
    """Decides the tasks, and the initial states."""


@dataclass(frozen=True, kw_only=True)
class Teams:
    """Some teams, and the returns of all pairs of plans."""

    returns: Returns
    kinds: NDArray[np.int64]
    """By team: who is due first (0 where all start alike), and the kinds of the first
    agent's and of the second's friction."""


def main() -> None:
    """Measure, and print the table."""
    torch.set_num_threads(1)
    o = tyro.cli(Options)
    train, held_out = (drive(o, split) for split in ("train", "held-out"))
    told = held_out.returns.max((1, 2))
    chance = held_out.returns.mean((1, 2))
    print(f"{o.family}, held-out, {o.teams} teams, seed {o.seed}\n")
    print("| plans | return | told is worth more by |\n|---|---:|---:|")
    rng = np.random.default_rng(o.seed)
    earned = {
        "told": told,
        "own end": follow(by_own_end(held_out), held_out),
        "robust": follow(robust(train), held_out),
        "random": chance,
    }
    for name, scores in earned.items():
        level = estimate([scores[None]], mean, rng)
        three = [(told - scores)[None], told[None], chance[None]]
        worth = estimate(three, share_lost, rng)
        print(f"| {name} | {text_of(level)} | {text_of(worth)} |")


def drive(o: Options, split: str) -> Teams:
    """Drive every pair of plans, from the same initial states."""
    family = Crossing() if o.family == "crossing" else Carry()
    tasks = family.sample(split, o.seed, family.team * o.teams)
    env = Env(family, worlds=len(tasks), threads=1)
    env.assign(tasks)
    start = env.reset(derived_generator(o.seed, MEASURE))
    plans = torch.linspace(-1, 1, o.plans)
    returns = np.zeros((o.teams, o.plans, o.plans))
    for i, j in np.ndindex(o.plans, o.plans):
        pair = plans[[i, j]].repeat(o.teams)[:, None]

        def act(obs: Tensor, pair: Tensor = pair) -> Gaussian:
            acts = torch.cat([pair, moves(obs)], -1) if o.family == "carry" else pair
            return Gaussian(acts, torch.full_like(acts[0], -9.0))

        rng = derived_generator(o.seed, MEASURE)
        lived = collect(env, act, rng, explore=False).returns
        returns[:, i, j] = lived[:: family.team]
    # what a car sees of who is due first
    first = (start[:: family.team, 4] > 0) & (o.family == "crossing")
    ends = family.reveal(family.values(tasks))[:: family.team, :2].numpy()
    quarters = np.digitize(ends, np.linspace(-1, 1, KINDS + 1)[1:-1])
    return Teams(returns=returns, kinds=np.column_stack([first.long(), quarters]))


def moves(obs: Float[Tensor, "agent obs"]) -> Float[Tensor, "agent 2"]:
    """Return the commands of `carry` that bring each end of the carton to its place."""
    to_go = torch.stack([obs[:, 8] / 10, LIFT - HEIGHT - obs[:, 3] / 10], -1)
    return (HASTE * to_go / torch.tensor(SPEED)).clamp(-1, 1)


def robust(teams: Teams) -> NDArray[np.int64]:
    """Return the pair of plans that is best, by who is due first."""
    found = np.zeros((2, KINDS, KINDS, 2), np.int64)
    for due in np.unique(teams.kinds[:, 0]):
        level = teams.returns[teams.kinds[:, 0] == due].mean(0)
        found[due] = np.unravel_index(level.argmax(), level.shape)
    return found


def by_own_end(teams: Teams, tries: int = 20, rounds: int = 6) -> NDArray[np.int64]:
    """Return the pairs of plans that are best where each follows from its own end.

    One agent's plans are improved with the other's held, in turns, from random ones.
    """
    rng = np.random.default_rng(0)
    best, found = -np.inf, robust(teams)
    for _ in range(tries):
        plans = rng.integers(teams.returns.shape[1], size=(2, 2, KINDS))
        for agent in [0, 1] * rounds:
            other = plans[1 - agent][teams.kinds[:, 0], teams.kinds[:, 2 - agent]]
            rows = np.arange(len(other))
            beside = np.moveaxis(teams.returns, 2 - agent, 1)[rows, other]
            for due, kind in np.ndindex(2, KINDS):
                mine = (teams.kinds[:, [0, 1 + agent]] == (due, kind)).all(1)
                if mine.any():
                    plans[agent, due, kind] = beside[mine].mean(0).argmax()
        pairs = np.stack(
            np.broadcast_arrays(plans[0][:, :, None], plans[1][:, None, :]), axis=-1
        )
        if (level := follow(pairs, teams).mean()) > best:
            best, found = level, pairs
    return found


def follow(plans: NDArray[np.int64], teams: Teams) -> NDArray[np.float64]:
    """Return each team's return by the plans for teams of its kind."""
    one, other = plans[tuple(teams.kinds.T)].T
    return teams.returns[np.arange(len(teams.returns)), one, other]


if __name__ == "__main__":
    main()
