"""Robots that speak and listen: what one has to say, and what another hears of it."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import NamedTuple

from meta.evaluation.telling import beliefs_of
from meta.experience.rollout import Experience, by_task, collect, some_episodes
from meta.language.belief import Belief
from meta.language.channels import Channel
from meta.language.evidence import Evidence
from meta.language.message import Message, heard, read_message
from meta.machine.devices import simulator_threads
from meta.machine.seeds import derived_generator
from meta.training.trained import Trained
from tasks.contract import TaskFamily
from tasks.registry import make_env
from tasks.task import Task

_LIVED = 4
"""Stream of the senders' random numbers."""


class Speaker(NamedTuple):
    """A policy that speaks and listens."""

    policy: Trained
    evidence: Evidence


Pair = tuple[Speaker, Speaker]
"""A sender and a receiver."""


class Lived(NamedTuple):
    """Beliefs of a sender about tasks, by episodes lived; and the episodes."""

    tasks: Sequence[Task]
    beliefs: Mapping[int, list[Belief]]
    episodes: Mapping[int, Experience]


def live(
    speaker: Speaker,
    family: TaskFamily,
    tasks: Sequence[Task],
    lived: Sequence[int],
    seed: int,
    threads: int,
) -> Lived:
    """Return what a sender has to say after some episodes with each task."""
    most = max(lived)
    env = make_env(family, worlds=most * len(tasks), threads=threads)
    env.assign([task for task in tasks for _ in range(most)])
    begun = speaker.policy.begin(len(tasks))
    with simulator_threads():
        rollout = collect(env, begun.explore, derived_generator(seed, _LIVED, 0))
        whole = by_task(rollout, len(tasks))
        parts = {k: some_episodes(whole, slice(k)) for k in lived}
        beliefs = {
            k: beliefs_of(begun.after(part), speaker.evidence)
            for k, part in parts.items()
        }
    return Lived(tasks, beliefs, parts)


def through(channel: Channel, said: Sequence[Belief]) -> tuple[list[Belief], float]:
    """Return what comes out of a channel, and the mean of the bits."""
    payloads = [channel.encode(b) for b in said]
    return [channel.decode(x) for x in payloads], mean(x.bits for x in payloads)


def sent(said: Sequence[Belief], family: TaskFamily, text: str = "") -> list[Belief]:
    """Return what is believed of beliefs sent as messages; a refused one is not."""
    found: list[Belief] = []
    for belief in said:
        message = Message(
            sender="a robot",
            family=family.name,
            belief=belief,
            episodes=1,
            advice=text,
            text=text,
        )
        try:
            found.append(heard(read_message(message.to_json(), family), family))
        except ValueError:
            found.append(Belief())
    return found
