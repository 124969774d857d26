"""Measure how an agent adapts to partners that it never trained with.

    python -m benchmarks.partners shove --agents shipped:shove shipped:shove-explore \
        --partner shipped:shove-oracle

One agent of each team is under test, the first in one half of the teams and the second
in the other. It explores and adapts while its partner acts as it always does. The best
response is found by trying first actions, beside that partner, in that world, from that
initial state; so the family must be one of a single decision, such as `shove`.
`--again FILE ...` prints what was written.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import tyro
from jaxtyping import Bool
from torch import Tensor

from benchmarks.study import text_of
from benchmarks.teams import Study
from meta.evaluation.measure import ADAPT, MEASURE
from meta.evaluation.statistics import Estimate, estimate, mean
from meta.experience.batch import limit_episodes
from meta.experience.rollout import by_task, collect
from meta.learner import sequential
from meta.machine.devices import simulator_threads
from meta.machine.seeds import derived_generator
from meta.training.trained import Trained, load_trained
from policies.acting import RecurrentPolicy, Transition, with_memory
from policies.distribution import Distribution, distribution, parts
from tasks.contract import Worlds
from tasks.registry import find_family, make_env
from tasks.rows import AGENT

EPISODES = (0, 1, 3, 5)
GRID, FINER = 11, (-0.08, -0.06, -0.04, -0.02, 0.02, 0.04, 0.06, 0.08)
"""First actions that a best response is chosen from, 0 to 1, and then around it."""
UNADAPTED = "unadapted"
"""The agent's own policy before it has adapted, as a partner."""
CHANCE = 9
"""Stream of random numbers of a partner that acts at random."""
Partner = Callable[[Tensor], Tensor]
"""Turns the most probable actions of the told policy into a partner's."""

PARTNERS: dict[str, Partner] = {
    "told": lambda action: action,
    "tired": lambda action: 0.7 * action,
    "eager": lambda action: action + 0.2,
}


@dataclass(frozen=True, kw_only=True)
class Options(Study):
    """Options of the study."""

    agents: tuple[str, ...] = ()
    """Policies under test."""
    partner: str = ""
    """Oracle that partners are made of."""
    measure_episodes: int = 2
    """Measured episodes of each team."""
    seed: int = 41
    """Decides the tasks."""


def main() -> None:
    """Measure, and print the table."""
    o = tyro.cli(Options)
    if not (o.again or (o.agents and o.partner)):
        raise SystemExit("name the policies: --agents shipped:shove ... --partner ...")
    for raw in o.studies(lambda: study(o)):
        print_table(raw)


def study(o: Options) -> dict[str, Any]:
    """Measure every agent beside every partner, on the same teams."""
    family = find_family(o.family)
    bench = _Bench(o)
    told = load_trained(o.partner)
    partners = {name: bench.told(told, make) for name, make in PARTNERS.items()}
    partners["random"] = bench.random()
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    with simulator_threads():
        best = {name: bench.best_response(p) for name, p in partners.items()}
        for spec in o.agents:
            agent = load_trained(spec)
            if sequential(agent.learner):
                raise SystemExit(f"{spec} plays its episodes one after another")
            met = partners | {UNADAPTED: bench.blind(agent)}
            found[spec] = {n: bench.adapted(agent, p) for n, p in met.items()}
            best[f"{spec} {UNADAPTED}"] = bench.best_response(met[UNADAPTED])
    return {
        "family": family.name,
        "split": o.split,
        "seed": o.seed,
        "teams": o.teams,
        "returns": found,
        "best": best,
    }


class _Bench:
    """The teams that every agent and every partner meets."""

    def __init__(self, o: Options) -> None:
        self.o, self.family = o, find_family(o.family)
        count = o.teams * self.family.team
        self.tasks = self.family.sample(o.split, o.seed, count)
        agents = self.family.agents
        own = [agents.index(str(task.parameters[AGENT])) for task in self.tasks]
        teams = torch.arange(count) // self.family.team
        # the first agents of one half of the teams, and the second ones of the other
        self.tested = torch.tensor(own) == teams % self.family.team

    def told(self, policy: Trained, make: Partner) -> RecurrentPolicy:
        """Return a partner that knows everything, and makes something of it."""
        act = with_memory(policy.begin(len(self.tasks)).act)

        def decide(obs: Tensor, memory: Tensor) -> Distribution:
            return certain(make(act.policy(obs, memory).mode))

        return act._replace(policy=decide)

    def blind(self, policy: Trained) -> RecurrentPolicy:
        """Return a partner that does not adapt and is told nothing."""
        return self._unaware(with_memory(policy.begin(len(self.tasks)).act), sure=True)

    def random(self) -> RecurrentPolicy:
        """Return a partner that acts at random, alike in every run."""

        def decide(obs: Tensor, memory: Tensor) -> Distribution:
            shape = (len(obs), self.family.action_dim)
            rng = derived_generator(self.o.seed, CHANCE, len(obs))
            return certain(2 * torch.rand(shape, generator=rng) - 1)

        return RecurrentPolicy(torch.empty(1, 0), decide, _forgets)

    def adapted(
        self, agent: Trained, partner: RecurrentPolicy
    ) -> dict[str, list[float]]:
        """Return what each team earns, by the agent's episodes of adaptation."""
        start, most = agent.begin(len(self.tasks)), max(EPISODES)
        env = self._worlds(most)
        explore = self._unaware(with_memory(start.explore))
        rng = derived_generator(self.o.seed, ADAPT, 0)
        rollout = collect(env, self._beside(explore, partner, most), rng)
        size = self.family.obs_dim
        lived = by_task(rollout, len(self.tasks))
        lived = lived._replace(
            obs=lived.obs[..., :size], next_obs=lived.next_obs[..., :size]
        )
        found: dict[str, list[float]] = {}
        for k in EPISODES:
            limit = torch.full((len(self.tasks),), k)
            now = start.after(limit_episodes(lived, limit)) if k else start
            found[str(k)] = self._earned(
                self._unaware(with_memory(now.act)), partner
            ).tolist()
        return found

    def best_response(self, partner: RecurrentPolicy) -> list[float]:
        """Return what each team earns by the best first action that was tried."""
        rows = len(self.tasks) * self.o.measure_episodes
        best = torch.zeros(rows)
        earned = torch.full((rows,), -torch.inf)

        def attempt(actions: Tensor) -> None:
            nonlocal best, earned
            found = self._by_row(_first(actions), partner)
            better = found > earned
            best = torch.where(better, actions, best)
            earned = torch.where(better, found, earned)

        for action in torch.linspace(0, 1, GRID).tolist():
            attempt(torch.full((rows,), action))
        middle = best
        for offset in FINER:
            attempt(middle + offset)
        return self._of_tested(earned).mean(1).tolist()

    def _earned(self, agent: RecurrentPolicy, partner: RecurrentPolicy) -> Tensor:
        return self._of_tested(self._by_row(agent, partner)).mean(1)

    def _of_tested(self, rows: Tensor) -> Tensor:
        """Return the rows of each team's tested agent, by episode."""
        return rows.reshape(-1, self.o.measure_episodes)[self.tested]

    def _by_row(self, agent: RecurrentPolicy, partner: RecurrentPolicy) -> Tensor:
        """Return what every row earns, of the tested agent or of its partner."""
        each = self.o.measure_episodes
        rng = derived_generator(self.o.seed, MEASURE, 0)
        both = self._beside(agent, partner, each)
        return collect(self._worlds(each), both, rng, explore=False).returns

    def _beside(
        self, agent: RecurrentPolicy, partner: RecurrentPolicy, each: int
    ) -> RecurrentPolicy:
        return beside(agent, partner, self.tested.repeat_interleave(each))

    def _unaware(self, act: RecurrentPolicy, *, sure: bool = False) -> RecurrentPolicy:
        """Return a policy that does not read what is hidden."""
        size = self.family.obs_dim

        def decide(obs: Tensor, memory: Tensor) -> Distribution:
            policy = act.policy(obs[:, :size], memory)
            return certain(policy.mode) if sure else policy

        def watch(memory: Tensor, step: Transition) -> Tensor:
            seen, after = step.obs[:, :size], step.next_obs[:, :size]
            return act.watch(memory, step._replace(obs=seen, next_obs=after))

        return RecurrentPolicy(act.memory, decide, watch)

    def _worlds(self, each: int) -> Worlds:
        env = make_env(
            self.family,
            worlds=len(self.tasks) * each,
            oracle=True,
            threads=self.o.threads,
        )
        env.assign([task for task in self.tasks for _ in range(each)])
        return env


def beside(
    agent: RecurrentPolicy, partner: RecurrentPolicy, mine: Bool[Tensor, "row"]
) -> RecurrentPolicy:
    """Return the policy of all rows, of which the agent has some."""
    memories = [p.start(len(mine)) for p in (agent, partner)]
    sizes = [m.shape[1] for m in memories]

    def decide(obs: Tensor, memory: Tensor) -> Distribution:
        own, other = memory.split(sizes, dim=1)
        one, two = parts(agent.policy(obs, own)), parts(partner.policy(obs, other))
        assert one[1] is not None
        assert two[1] is not None
        spread = torch.where(mine[:, None], one[1], two[1])
        return distribution(torch.where(mine[:, None], one[0], two[0]), spread)

    def watch(memory: Tensor, step: Transition) -> Tensor:
        own, other = memory.split(sizes, dim=1)
        return torch.cat([agent.watch(own, step), partner.watch(other, step)], 1)

    return RecurrentPolicy(torch.cat(memories, 1), decide, watch)


def _first(actions: Tensor) -> RecurrentPolicy:
    """Return the policy of some actions in the first step, one a row, and then none."""

    def decide(obs: Tensor, memory: Tensor) -> Distribution:
        return certain(torch.where(memory == 0, actions[:, None], 0.0))

    def watch(memory: Tensor, step: Transition) -> Tensor:
        return memory + 1

    return RecurrentPolicy(torch.zeros(1, 1), decide, watch)


def _forgets(memory: Tensor, step: Transition) -> Tensor:
    return memory


def certain(action: Tensor) -> Distribution:
    """Return a distribution that is all at one action."""
    return distribution(action, torch.full_like(action, -12.0))


def print_table(raw: dict[str, Any]) -> None:
    """Print returns, and their share of the best response's."""
    rng = np.random.default_rng(raw["seed"])
    print(
        f"{raw['family']}, {raw['split']}, {raw['teams']} teams, seed {raw['seed']}\n"
    )
    titles = " | ".join(f"after {k}" for k in EPISODES)
    print(f"| agent | partner | best response | {titles} | gain after 5 |")
    print(f"|---|---|{'---:|' * (len(EPISODES) + 2)}")
    for spec, partners in raw["returns"].items():
        for name, scores in partners.items():
            key = f"{spec} {name}" if name == UNADAPTED else name
            best = np.array([raw["best"][key]])
            rows = {k: np.array([scores[str(k)]]) for k in EPISODES}
            cells = [_share(rows[k], best, rng) for k in EPISODES]
            gain = estimate([rows[max(EPISODES)] - rows[0]], mean, rng)
            known = [spec.removeprefix("shipped:"), name, f"{best.mean():.2f}"]
            print(f"| {' | '.join([*known, *cells, text_of(gain)])} |")


def _share(x: Any, best: Any, rng: np.random.Generator) -> str:  # noqa: ANN401
    """Return BR-Prox, what is earned as a share of the best response, in pairs."""
    value, whole = x.mean() / best.mean(), best.mean()
    e = estimate([x - value * best], mean, rng)
    return text_of(
        Estimate(value=value, low=value + e.low / whole, high=value + e.high / whole)
    )


if __name__ == "__main__":
    main()
