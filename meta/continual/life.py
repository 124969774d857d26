"""Lives: agents in their streams, side by side, episode by episode."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from meta.continual.agent import Agent
from meta.continual.habits import Noticed, Told
from meta.continual.senses import returns_of
from meta.continual.stream import Moment, Stream
from meta.continual.trials import mixed
from meta.experience.rollout import Experience, Rollout, by_task, collect
from meta.experience.schedule import Changes
from meta.library.library import one_task
from meta.machine.seeds import derived_generator
from meta.theta import Params
from meta.training.trained import Trained
from tasks.contract import Worlds
from tasks.rows import AGENT
from tasks.task import Task


class Lived(NamedTuple):
    """One episode of one life."""

    moment: Moment
    task: str
    """Hash of the task in which it ended."""
    returns: float
    success: bool
    explored: bool
    noticed: Noticed | None
    """None for a policy that never adapts."""
    agent: str = ""
    """Its name in its team; none for one robot."""


def live(
    agents: Sequence[Agent], streams: Sequence[Stream], env: Worlds, seed: int
) -> Iterator[list[Lived]]:
    """Let each agent live a stream, and yield every episode of all of them.

    The agents of a team share their worlds and episodes, and nothing else: each has its
    own library, and none is told what another one has learnt.

    Episode i of a life begins in the state that the seed and i decide, whatever the
    agents do, and however many episodes are lived at once: lives with the same seed and
    streams are compared in pairs.

    Args:
        agents: one a row, all of one policy; those of a team lie side by side, in the
            family's order.
        streams: one a world, which all of a team's agents live; a life that is over is
            not in the list any more.
        env: as many rows as there are agents.
        seed: decides the initial states and the actions.

    Raises:
        ValueError: for other numbers of agents or streams, or streams whose changes are
            at other steps than the others'.
    """
    rows = _by_row(streams, env)
    if len(agents) != env.worlds:
        raise ValueError(f"{env.worlds} rows take as many agents, got {len(agents)}")
    for episode in range(max(map(len, rows))):
        rollout, moments = live_episode(agents, rows, env, seed, episode)
        yield take_in(agents, rows, rollout, moments, episode)


def live_episode(
    agents: Sequence[Agent],
    streams: Sequence[Stream],
    env: Worlds,
    seed: int,
    episode: int,
) -> tuple[Rollout, list[Moment]]:
    """Run one episode of every life, of which the agents have yet to be told.

    Streams are each agent's own here, as `Stream.by_agent` has them, and below.
    """
    moments = moments_at(streams, episode)
    changes = set_tasks(env, streams, moments)
    explores = torch.tensor([agent.explores for agent in agents])
    explores = explores.to(env.device)
    beliefs = _stacked([agent.adaptation for agent in agents])
    starts = _stacked([agent.start for agent in agents])
    act = mixed(agents[0].policy, beliefs, starts, explores)
    rng = derived_generator(seed, episode, device=env.device)
    return collect(env, act, rng, explore=explores, changes=changes), moments


def take_in(
    agents: Sequence[Agent],
    streams: Sequence[Stream],
    rollout: Rollout,
    moments: Sequence[Moment],
    episode: int,
) -> list[Lived]:
    """Tell the agents of an episode, and return it of each life that is not over."""
    lived = by_task(rollout, len(agents))._replace(lived=None)
    everyone = enumerate(zip(agents, streams, moments, strict=True))
    return [
        tell(agent, stream, moment, one_task(lived, i), bool(rollout.success[i]))
        for i, (agent, stream, moment) in everyone
        if episode < len(stream)
    ]


def tell(
    agent: Agent, stream: Stream, moment: Moment, own: Experience, success: bool
) -> Lived:
    """Tell one agent of one episode, and return it.

    Args:
        agent: the agent.
        stream: what it lives.
        moment: where the episode is in the stream.
        own: the episode; of one task.
        success: at its end.
    """
    explored, name = agent.explores, stream.tasks[moment.task].hash
    noticed = agent.live(own, Told(name, moment.age == 0))
    earned, who = float(returns_of(own)), _agent_of(stream)
    return Lived(moment, name, earned, success, explored, noticed, who)


def live_steadily(
    policy: Trained, streams: Sequence[Stream], env: Worlds, seed: int
) -> Iterator[list[Lived]]:
    """Let a policy that never adapts live streams, by mean actions; see `live`."""
    streams = _by_row(streams, env)
    act = policy.begin(len(streams)).act
    for episode in range(max(map(len, streams))):
        moments = moments_at(streams, episode)
        changes = set_tasks(env, streams, moments)
        rng = derived_generator(seed, episode, device=env.device)
        rollout = collect(env, act, rng, explore=False, changes=changes)
        yield [
            Lived(
                moment,
                stream.tasks[moment.task].hash,
                float(rollout.returns[i]),
                bool(rollout.success[i]),
                False,
                None,
                _agent_of(stream),
            )
            for i, (stream, moment) in enumerate(zip(streams, moments, strict=True))
            if episode < len(stream)
        ]


def by_agent(life: Sequence[Lived]) -> dict[str, list[Lived]]:
    """Return the episodes of each agent of a team, or of the only one."""
    found: dict[str, list[Lived]] = {}
    for row in life:
        found.setdefault(row.agent, []).append(row)
    return found


def moments_at(streams: Sequence[Stream], episode: int) -> list[Moment]:
    """Return the moment of each stream, or its last one if it is over."""
    return [s.moments()[min(episode, len(s) - 1)] for s in streams]


def set_tasks(
    env: Worlds, streams: Sequence[Stream], moments: Sequence[Moment]
) -> Changes:
    """Give rows the tasks that their episodes begin in.

    Returns:
        The change on the way, or none.
    """
    pairs = list(zip(streams, moments, strict=True))
    first = [stream.tasks[moment.before] for stream, moment in pairs]
    last = [stream.tasks[moment.task] for stream, moment in pairs]
    _assign(env, first)
    return {} if first == last else {streams[0].step: last}


def _by_row(streams: Sequence[Stream], env: Worlds) -> list[Stream]:
    """Return each row's stream, of one a world."""
    steps = {stream.step for stream in streams}
    worlds = env.worlds // env.family.team
    if len(steps) > 1 or len(streams) != worlds:
        raise ValueError(
            f"{worlds} worlds take as many streams, which change at one step; got "
            f"{len(streams)}, and changes at steps {sorted(steps)}"
        )
    return [own for stream in streams for own in stream.by_agent(env.family)]


def _agent_of(stream: Stream) -> str:
    return str(stream.tasks[0].parameters.get(AGENT, ""))


def _stacked(adaptations: Sequence[Params]) -> Params:
    """Return some agents' adaptations as one."""
    return {k: torch.cat([a[k] for a in adaptations]) for k in adaptations[0]}


def _assign(env: Worlds, tasks: Sequence[Task]) -> None:
    """Give worlds their tasks; those that have them already are left alone."""
    if not env.tasks:
        env.assign(tasks)
        return
    other = [i for i, (a, b) in enumerate(zip(env.tasks, tasks, strict=True)) if a != b]
    if other:
        env.assign([tasks[i] for i in other], torch.tensor(other))
