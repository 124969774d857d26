"""A life on disk: what it is lived by, and two files of every episode.

`life.json` has the policy, the stream, the agent's habits and the seed, and
`senses.safetensors` what its senses were fitted to. `episodes/` has each episode's
experience, which is written last, and before it a recording of the episode that
`pliant replay` shows beside the first one of its visit.

Nothing else of the agent is kept: it is what its episodes have made of it. A life that
was killed goes on by telling a fresh agent all of them, in order, and is then the life
that it would have been. Of a team an episode's experience is that of all agents.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from meta.continual.agent import Agent
from meta.continual.film import Film
from meta.continual.habits import Habits
from meta.continual.life import Lived, live_episode, take_in, tell
from meta.continual.senses import Senses, fit_senses
from meta.continual.stream import Moment, Stream, parse_stream
from meta.experience.rollout import by_task
from meta.library.embedding import Embedding, check_embeddable
from meta.library.library import one_task
from meta.library.shelf import flat_experience, parse_experience
from meta.machine.devices import simulator_threads
from meta.machine.files import read_bytes, read_json, write_atomically, write_json
from meta.machine.versions import versions
from meta.training.trained import Trained
from tasks.registry import find_family
from tasks.strict_json import BROKEN

FORMAT = "pliant-life-2"
ABOUT, SENSES, EPISODES = "life.json", "senses.safetensors", "episodes"
_LARGEST = 2**28
"""Bytes of an episode that are read at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """Everything that decides a life."""

    stream: Stream
    habits: Habits
    seed: int
    policy: str
    """Place that the policy was loaded from."""
    checksum: str
    """Checksum of the policy."""

    def save(self, folder: Path) -> None:
        """Write `life.json`."""
        about = {
            "format": FORMAT,
            "policy": self.policy,
            "checksum": self.checksum,
            "seed": self.seed,
            "habits": asdict(self.habits),
            "stream": self.stream.to_json(),
            "versions": versions(),
        }
        write_json(folder / ABOUT, about)


def load_life(folder: str | Path) -> Life:
    """Read what a life is lived by.

    Raises:
        ValueError: if it is no life's folder, saying what is wrong.
        OSError: if `life.json` is there and cannot be opened.
    """
    path = Path(folder) / ABOUT
    if not path.exists():
        raise ValueError(f"no life to resume in {folder}")
    raw: Any = read_json(path)
    said = raw.get("format") if isinstance(raw, dict) else type(raw).__name__
    if said != FORMAT:
        raise ValueError(f"{path} has format {said!r}, expected {FORMAT}")
    try:
        return Life(
            stream=parse_stream(raw["stream"]),
            habits=Habits(**raw["habits"]),
            seed=int(raw["seed"]),
            policy=str(raw["policy"]),
            checksum=str(raw["checksum"]),
        )
    except BROKEN as error:
        raise ValueError(f"{path} is no life: {error}") from error


def begin_life(
    folder: Path,
    policy: Trained,
    stream: Stream,
    habits: Habits,
    *,
    seed: int = 0,
    threads: int = 0,
    fitting: Callable[[], None] = lambda: None,
) -> Life:
    """Make the folder of a life, of which no episode has been lived.

    Before the senses are fitted, which takes a while, `fitting` is called.

    Raises:
        ValueError: for a stream of another family than the policy's, a policy that no
            agent can live by, or a folder that holds a life already.
    """
    _check_stream(stream, policy)
    if (folder / ABOUT).exists():
        raise ValueError(
            f"{folder} holds a life already: --resume it, or name another folder"
        )
    check_embeddable(policy)
    fitting()
    with simulator_threads():
        senses = fit_senses(policy, seed=seed, threads=threads)
    (folder / EPISODES).mkdir(parents=True, exist_ok=True)
    write_atomically(folder / SENSES, save_tensors(_tensors(senses)))
    life = Life(
        stream=stream,
        habits=habits,
        seed=seed,
        policy=policy.source,
        checksum=policy.checksum,
    )
    life.save(folder)
    return life


def _check_stream(stream: Stream, policy: Trained) -> None:
    """Refuse a stream that an agent cannot live by a policy."""
    if stream.family != policy.cfg.family:
        raise ValueError(
            f"{policy.source} is a policy for {policy.cfg.family}, and the stream is "
            f"of {stream.family}"
        )
    family = find_family(stream.family, "cpu")
    if stream.step >= family.horizon:
        raise ValueError(
            f"tasks change at step {stream.step}, and an episode of {stream.family} "
            f"has {family.horizon}"
        )
    stream.by_agent(family)  # refuses what no team can live


def live_on(folder: Path, policy: Trained, *, threads: int = 0) -> Iterator[Lived]:
    """Yield the episodes that a life has had, and then go on with it to its end.

    Of a team each episode comes once for every agent, in the family's order.

    Raises:
        ValueError: for another policy than the life's, or an episode that cannot be
            read, naming the file.
    """
    life = load_life(folder)
    if policy.checksum != life.checksum:
        raise ValueError(
            f"{folder} is lived by {life.policy} (checksum {life.checksum[:12]}), and "
            f"{policy.source} has {policy.checksum[:12]}"
        )
    streams = life.stream.by_agent(find_family(life.stream.family, "cpu"))
    senses = _load_senses(folder / SENSES)
    seeds = range(life.seed, life.seed + len(streams))
    agents = [Agent(policy, senses, life.habits, seed=s) for s in seeds]
    episodes = folder / EPISODES
    start = 0
    for moment in life.stream.moments():
        if not _experience_file(episodes, start).exists():
            break
        yield from _again(agents, streams, episodes, moment)
        start += 1
    film = Film(
        policy,
        life.policy,
        life.stream,
        seed=life.seed,
        folder=episodes,
        threads=threads,
    )
    with simulator_threads():
        for moment in life.stream.moments()[start:]:
            behind = min(len(agent.segment.parts) for agent in agents)
            rollout, moments = live_episode(
                agents, streams, film.env, life.seed, moment.episode
            )
            film.keep(rollout, moment, behind)
            named = flat_experience(by_task(rollout, 1))
            named["success"] = rollout.success.float()
            path = _experience_file(episodes, moment.episode)
            write_atomically(path, save_tensors(named))
            yield from take_in(agents, streams, rollout, moments, moment.episode)


def _again(
    agents: Sequence[Agent], streams: Sequence[Stream], folder: Path, moment: Moment
) -> list[Lived]:
    """Tell the agents of an episode that they have lived before."""
    path = _experience_file(folder, moment.episode)
    content = read_bytes(path, _LARGEST)
    try:
        tensors = load_tensors(content)
        success = tensors.pop("success").bool().tolist()
        whole = parse_experience({k: v[:, None] for k, v in tensors.items()})
        rows = enumerate(zip(agents, streams, success, strict=True))
        return [
            tell(a, s, moment, one_task(whole, i), done) for i, (a, s, done) in rows
        ]
    except (*BROKEN, SafetensorError, RuntimeError) as error:
        raise ValueError(f"{path} is no episode: {error}") from error


def _experience_file(folder: Path, episode: int) -> Path:
    return folder / f"{episode:06}.safetensors"


def _tensors(senses: Senses) -> dict[str, Tensor]:
    return {
        "mean": senses.embedding.mean,
        "projection": senses.embedding.projection.contiguous(),
        "likeness": senses.likeness,
        "weights": senses.weights,
        "alarm": torch.tensor(senses.alarm, dtype=torch.float64),
        "known": senses.known,
        "service": senses.service,
    }


def _load_senses(path: Path) -> Senses:
    content = read_bytes(path, _LARGEST)
    try:
        named = load_tensors(content)
        return Senses(
            embedding=Embedding(
                mean=named["mean"],
                projection=named["projection"],
                nearest=torch.zeros(0, 0),
            ),
            likeness=named["likeness"],
            weights=named["weights"],
            alarm=float(named["alarm"]),
            known=named["known"],
            service=named["service"],
        )
    except (*BROKEN, SafetensorError, RuntimeError) as error:
        raise ValueError(f"{path} holds no senses: {error}") from error
