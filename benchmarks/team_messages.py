"""Measure what it is worth to a team that its agents tell each other what they found.

    python -m benchmarks.team_messages shove --policy shipped:shove-explore

A team lives some episodes. Then one agent is swapped for a new robot, and its mate,
which has adapted, tells it what it believes: the first episode, by what is said, beside
nothing said, beside episodes of the new robot's own, and beside the truth. Either agent
is swapped in turn, and the mean counts. And with nobody swapped: all have adapted, and
hear each other or not. `--again FILE ...` prints what was written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import tyro
from torch import Tensor

from benchmarks.messages import ways
from benchmarks.partners import beside, certain
from benchmarks.speakers import Lived, Speaker, live, through
from benchmarks.team_messages_tables import print_tables
from benchmarks.teams import Study
from benchmarks.told import earned
from meta.evaluation.calibration import fit_evidence, known
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.measure import ADAPT
from meta.evaluation.telling import tell_adapted
from meta.experience.batch import limit_episodes
from meta.experience.moments import standardised
from meta.experience.rollout import by_task, collect
from meta.language.belief import Belief, Number, within
from meta.language.channels import Quantised, usual
from meta.language.message import MESSAGE_DOUBT
from meta.language.scale import Scale
from meta.learners.told import adapter_of
from meta.machine.devices import simulator_threads
from meta.machine.seeds import derived_generator
from meta.training.swapping import swapped
from meta.training.trained import Adapted, load_trained
from policies.acting import Act, RecurrentPolicy, Transition, with_memory
from policies.distribution import Distribution
from tasks.contract import TaskFamily
from tasks.parameters import Scalar
from tasks.registry import find_family, make_env
from tasks.rows import AGENT
from tasks.task import Task

SURE = 0.02
"""Standard deviation of the truth as it is told, as a share of the training range."""
_FINEST = 4
"""Most bits about one parameter whose worth is measured."""


@dataclass(frozen=True, kw_only=True)
class Options(Study):
    """Options of the study."""

    policy: str = ""
    """A policy of the team that infers a latent."""
    lived: tuple[int, ...] = (1, 3)
    """Episodes of the team before one agent is swapped."""
    tuning_seed: int = 11
    """Decides the training teams that bits are allocated by."""
    doubt: float = MESSAGE_DOUBT
    """Share of doubt about messages."""


def main() -> None:
    """Measure, and print the tables."""
    o = tyro.cli(Options)
    if not (o.again or o.policy):
        raise SystemExit("name a policy: --policy shipped:shove-explore")
    for raw in o.studies(lambda: study(o)):
        print_tables(raw)


def study(o: Options) -> dict[str, Any]:
    """Measure the policy of one family."""
    family, policy = find_family(o.family), load_trained(o.policy)
    if family.team != 2:
        raise SystemExit(f"{family.name} is no team of two")
    speaker = Speaker(policy, fit_evidence(policy, threads=o.threads))
    training = family.sample("train", o.tuning_seed, o.teams * family.team)
    before = live(speaker, family, training, o.lived, o.tuning_seed, o.threads)
    tuning = _Teams(speaker, family, before, replace(o, seed=o.tuning_seed))
    last = o.lived[-1]
    worth = tuning.worths(last, usual(before.beliefs[last], family.hidden))
    tasks = family.sample(o.split, o.seed, o.teams * family.team)
    teams = _Teams(
        speaker, family, live(speaker, family, tasks, o.lived, o.seed, o.threads), o
    )
    sure = {k: usual(said, family.hidden) for k, said in before.beliefs.items()}
    teams.untold()
    for k in o.lived:
        teams.newcomers(k, sure[k], worth)
        teams.exchange(k, sure[k], worth)
    agents = speaker.evidence.agents
    return {
        "family": family.name,
        "policy": o.policy,
        "split": o.split,
        "seed": o.seed,
        "teams": o.teams,
        "lived": list(o.lived),
        "doubt": o.doubt,
        "worth": worth,
        "parameters": [p.name for p in family.hidden],
        "skill": [[e.skill[e.at(n)].tolist() for n in (0, 1)] for e in agents],
        "returns": teams.returns,
        "bits": teams.bits,
        "known": {k: teams.right(k) for k in o.lived},
    }


class _Teams:
    """Teams that have lived some episodes, and what they earn by what is said."""

    def __init__(
        self, speaker: Speaker, family: TaskFamily, lived: Lived, o: Options
    ) -> None:
        self.policy, self.evidence = speaker
        self.family, self.lived, self.o = family, lived, o
        self.tasks: Sequence[Task] = lived.tasks
        self.start = self.policy.begin(len(self.tasks))
        self.returns: dict[str, list[list[float]]] = {}
        self.bits: dict[str, list[float]] = {}
        self._cfg = EvaluationCfg(
            seed=o.seed, measure_episodes=o.measure_episodes, threads=o.threads
        )

    def untold(self) -> None:
        """Measure teams of which nobody has adapted."""
        self._add("nobody", self._earned(self.start.act))

    def newcomers(
        self, k: int, sure: Mapping[str, float], worth: Mapping[str, Sequence[float]]
    ) -> None:
        """Measure teams of k episodes in which either agent is swapped in turn."""
        after = self.start.after(self.lived.episodes[k])
        self._add(f"{k}: nobody swapped", self._earned(after.act))
        for i, agent in enumerate(self.family.agents):
            new = swapped(after, agent)
            said = self.lived.beliefs[k][1 - i :: 2]
            for name, (beliefs, bits) in ways(
                said, sure, worth, self.family, equal=False
            ).items():
                self.bits.setdefault(f"{k}: {name}", []).append(bits)
                self._add(f"{k}: {name}", self._told(new, i, beliefs))
            ends = {"its own end": f"friction_{agent}", "the weight": "load_x"}
            ends["the other end"] = f"friction_{self.family.agents[1 - i]}"
            for name, only in {"the truth": "", **ends}.items():
                told = [self._truth(task, only) for task in self.tasks[i::2]]
                self._add(f"{k}: {name}", self._told(new, i, told))
            self._add(f"{k}: true latent", self._true_latent(new, i))
            price, own = self._alone(new, after, i, k)
            self._add(f"{k}: own episodes", own)
            self._add(f"{k}: meanwhile", price)

    def exchange(
        self, k: int, sure: Mapping[str, float], worth: Mapping[str, Sequence[float]]
    ) -> None:
        """Measure teams of k episodes in which each agent hears the other."""
        after = self.start.after(self.lived.episodes[k])
        said = self.lived.beliefs[k]
        mates = [said[row ^ 1] for row in range(len(said))]
        for name, (beliefs, _) in ways(
            mates, sure, worth, self.family, equal=False
        ).items():
            told = tell_adapted(after, self.evidence, beliefs, doubt=self.o.doubt)
            self._add(f"{k}: both hear {name}", self._earned(told.act))

    def worths(self, k: int, sure: Mapping[str, float]) -> dict[str, list[float]]:
        """Return what 0, 1, 2 ... bits about each parameter alone add."""
        new = swapped(self.start.after(self.lived.episodes[k]), self.family.agents[-1])
        said, hidden = self.lived.beliefs[k][0::2], self.family.hidden
        found: dict[str, list[float]] = {}
        base = np.mean(self._told(new, 1, [Belief()] * len(said)))
        for name in sure:
            found[name] = [0.0]
            for bits in range(1, _FINEST + 1):
                channel = Quantised(hidden, {name: bits}, sure)
                told = self._told(new, 1, through(channel, said)[0])
                found[name].append(float(np.mean(told) - base))
        return found

    def right(self, k: int) -> dict[str, list[list[float]]]:
        """Return what agents believe of each parameter, the truth, and if it is held.

        By whose end it is: the believer's own, the other's, or the weight.
        """
        found: dict[str, list[list[float]]] = {}
        for task, belief in zip(self.tasks, self.lived.beliefs[k], strict=True):
            for name, x in belief.about.items():
                assert isinstance(x, Number)
                own = name == f"friction_{task.parameters[AGENT]}"
                end = "its own end" if own else "the other end"
                actual = float(task.parameters[name])
                row = [x.mean, actual, float(within(x, actual))]
                found.setdefault("the weight" if name == "load_x" else end, []).append(
                    row
                )
        return found

    def _told(self, new: Adapted, i: int, beliefs: Sequence[Belief]) -> list[float]:
        """Return what teams earn whose agent i is told something."""
        rows = [b if j == i else Belief() for b in beliefs for j in range(2)]
        told = tell_adapted(new, self.evidence, rows, doubt=self.o.doubt)
        return self._earned(told.act)

    def _truth(self, task: Task, only: str) -> Belief:
        """Return the truth about all that is hidden, or about one parameter."""
        about = {
            p.name: Scale(p).number(
                Scale(p).place(Number(mean=float(task.parameters[p.name]), std=1))[0],
                SURE,
            )
            for p in self.family.hidden
            if isinstance(p, Scalar) and only in ("", p.name)
        }
        return Belief(about=about)

    def _true_latent(self, new: Adapted, i: int) -> list[float]:
        """Return what teams earn whose agent i reads its teacher's latent."""
        _, latents = known(self.policy, self.family, self.tasks)
        adapter, theta = adapter_of(self.policy.learner), self.policy.theta
        each = latents.repeat_interleave(self.o.measure_episodes, dim=0)

        def decide(obs: Tensor) -> Distribution:
            return adapter.decide(theta, standardised(theta, obs), each)

        mine = self._rows(i, self.o.measure_episodes)
        return self._earned(beside(with_memory(decide), with_memory(new.act), mine))

    def _alone(
        self, new: Adapted, after: Adapted, i: int, k: int
    ) -> tuple[list[float], list[float]]:
        """Return what teams earn while agent i explores beside the other, and then."""
        env = make_env(self.family, worlds=k * len(self.tasks), threads=self.o.threads)
        env.assign([task for task in self.tasks for _ in range(k)])
        mate = _settled(with_memory(new.act))
        both = beside(with_memory(self.start.explore), mate, self._rows(i, k))
        rng = derived_generator(self.o.seed, ADAPT, 1 + i)
        with simulator_threads():
            rollout = collect(env, both, rng)
        whole = by_task(rollout, len(self.tasks))
        limit = torch.full((len(self.tasks),), k)
        own = self.start.after(limit_episodes(whole, limit))
        # the mate keeps what it knew
        now = {
            name: torch.where(self._rows(i, 1)[:, None], own.adaptation[name], value)
            for name, value in after.adaptation.items()
        }
        price = rollout.returns.reshape(-1, 2 * k).mean(1).tolist()
        return price, self._earned(after._replace(adaptation=now).act)

    def _rows(self, i: int, each: int) -> Tensor:
        """Tell which rows are those of agent i."""
        rows = torch.arange(len(self.tasks)) % 2 == i
        return rows.repeat_interleave(each)

    def _earned(self, act: Act) -> list[float]:
        with simulator_threads():
            rows = earned(self.family, self.tasks, self._cfg, act, oracle=False)
        return rows.reshape(-1, 2).mean(1).tolist()

    def _add(self, name: str, row: list[float]) -> None:
        self.returns.setdefault(name, []).append(row)


def _settled(act: RecurrentPolicy) -> RecurrentPolicy:
    """Return a policy that takes its most probable action."""

    def decide(obs: Tensor, memory: Tensor) -> Distribution:
        return certain(act.policy(obs, memory).mode)

    def watch(memory: Tensor, step: Transition) -> Tensor:
        return act.watch(memory, step)

    return RecurrentPolicy(act.memory, decide, watch)


if __name__ == "__main__":
    main()
