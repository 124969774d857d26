"""Measure what a robot can tell one of another family about an object that both handle.

    python -m benchmarks.same_object push grasp --senders shipped:push-explore \
        shipped:push-explore-seed1 shipped:push-explore-seed2 --receivers \
        shipped:grasp-explore-seed1 shipped:grasp-explore-seed2 shipped:grasp-explore

An object is a solid that neither policy was trained with, and a place of the heavy
insert in it. It lies along the fingers of `grasp`, and across the push of `push`. The
sender lives some episodes with it; what it believes is put into the receiver's terms
(`meta.language.translation`), and the receiver's first episode is measured, from the
same initial states. `--again FILE ...` prints what was written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tyro
from torch import Tensor
from tyro.conf import Positional

from benchmarks.catalogue import AS_LIES, catalogue, matched, side
from benchmarks.messages_tables import level
from benchmarks.speakers import Speaker, live, through
from benchmarks.study import Kept, text_of
from benchmarks.told import other, true_latent
from meta.evaluation.calibration import fit_evidence
from meta.evaluation.evaluation_cfg import EvaluationCfg
from meta.evaluation.measure import Bench, Ledger
from meta.evaluation.statistics import bounded, harm
from meta.evaluation.telling import tell
from meta.language.belief import Belief, Names, Number
from meta.language.channels import Exact, Quantised, Silence, Template, usual
from meta.language.corruption import flipped, overconfident
from meta.language.message import MESSAGE_DOUBT, Message, heard
from meta.language.scale import Scale
from meta.language.translation import translated
from meta.machine.devices import simulator_threads
from meta.training.trained import Trained, load_trained
from tasks.manipulation.handling import BankFamily
from tasks.parameters import Scaled
from tasks.task import Task

BITS = (1, 2, 3, 4, 8)
SURE = 0.02
"""Standard deviation of the truth as it is told, as a share of the training range."""


@dataclass(frozen=True, kw_only=True)
class Options(Kept):
    """Options of the study."""

    sender: Positional[str] = ""
    """Family of the robot that speaks."""
    receiver: Positional[str] = ""
    """Family of the robot that listens."""
    senders: tuple[str, ...] = ()
    """Policies that speak, one per training seed."""
    receivers: tuple[str, ...] = ()
    """Policies that listen, each to the sender in its place."""
    objects: int = 100
    """Objects: a solid and an insert."""
    measure_episodes: int = 3
    """Measured episodes with each."""
    lived: tuple[int, ...] = (1, 3)
    """Episodes of the sender."""
    seed: int = 31
    """Decides the objects."""
    tuning_seed: int = 11
    """Decides the training objects by which it is known how sure a sender is."""
    doubt: float = MESSAGE_DOUBT
    """Share of doubt about messages."""


def main() -> None:
    """Measure, and print the tables."""
    o = tyro.cli(Options)
    if not o.again and not (o.senders and len(o.senders) == len(o.receivers)):
        raise SystemExit("name as many --senders as --receivers, one at least")
    for raw in o.studies(lambda: study(o)):
        print_table(raw)


def print_table(raw: dict[str, Any]) -> None:
    """Print what receivers earn by what they are told, beside what they earn untold."""
    solids = len(raw["solids"])
    print(f"\n{raw['sender']} tells {raw['receiver']}: {solids} solids")
    print(f"left out: {', '.join(raw['left out']) or 'nothing'}")
    print("\n| told, episodes | bits | return | over nothing | worse off by 0.01 |")
    print("|---|---:|---:|---:|---:|")
    first = {n: np.array(x) for n, x in raw["returns"].items()}
    untold = first["untold"]
    for name, own in first.items():
        bits = np.mean(raw["bits"].get(name, 0.0))
        worse = level(raw, harm(own, untold - 0.01))
        cells = [name, f"{bits:.0f}" if bits else ""]
        cells += [text_of(level(raw, x)) for x in (own, own - untold)]
        print(f"| {' | '.join([*cells, text_of(bounded(worse, own.shape[1]))])} |")


def study(o: Options) -> dict[str, Any]:
    """Measure the pairs of two families."""
    solids = catalogue()
    sides = [side(name, solids) for name in (o.sender, o.receiver)]
    found: dict[str, Any] = {"returns": {}, "bits": {}}
    said: list[str] = []
    for spec, other_spec in zip(o.senders, o.receivers, strict=True):
        pair = [
            Speaker(p, fit_evidence(p, threads=o.threads, objects=own.objects))
            for p, own in zip(map(load_trained, (spec, other_spec)), sides, strict=True)
        ]
        study = _Pair(pair[0], pair[1], sides[0], sides[1], o)
        study.measure(found)
        said += study.left_out
    return found | {
        "sender": o.sender,
        "receiver": o.receiver,
        "policies": [*o.senders, *o.receivers],
        "seed": o.seed,
        "lived": list(o.lived),
        "doubt": o.doubt,
        "left out": sorted(set(said)),
        "solids": list(solids.by_name),
        "objects": [
            str(t.parameters["shape"])
            for t in matched(sides, "held-out", o.seed, o.objects)[0]
        ],
    }


class _Pair:
    """A sender of one family and a receiver of the other."""

    def __init__(
        self,
        speaker: Speaker,
        listener: Speaker,
        theirs: BankFamily,
        own: BankFamily,
        o: Options,
    ) -> None:
        self.speaker, self.listener, self.o = speaker, listener, o
        self.theirs, self.own = theirs, own
        self.turned = AS_LIES[theirs.name] - AS_LIES[own.name]
        self.left_out: list[str] = []
        self.told_of, self.tasks = matched((theirs, own), "held-out", o.seed, o.objects)
        self._cfg = EvaluationCfg(
            seed=o.seed,
            episodes=(0, 1),
            measure_episodes=o.measure_episodes,
            threads=o.threads,
            objects=own.objects,
        )
        self._bench = Bench(self.tasks, self._cfg)

    def measure(self, found: dict[str, Any]) -> None:
        """Add what the receiver earns, and the bits of messages, to what was found."""
        o, receiver = self.o, self.listener.policy

        def add(name: str, row: Tensor) -> None:
            found["returns"].setdefault(name, []).append(row.tolist())

        with simulator_threads():
            rows = self._bench.curve(receiver, (0, 1), Ledger())
            best = true_latent(receiver, self.own, self.tasks, self._cfg)
        add("untold", rows[0].returns)
        add("own episode", rows[1].returns)
        add("true latent", best)
        add("the truth", self._earned([self._truth(task) for task in self.tasks]))
        training, _ = matched(
            (self.theirs, self.own), "train", o.tuning_seed, o.objects
        )
        arguments = (o.lived, o.tuning_seed, o.threads)
        before = live(self.speaker, self.theirs, training, *arguments)
        after = live(
            self.speaker, self.theirs, self.told_of, o.lived, o.seed, o.threads
        )
        for k, said in after.beliefs.items():
            sure = usual(before.beliefs[k], self.theirs.hidden)
            for name, (beliefs, bits) in self.ways(said, sure).items():
                read = [self._read(b) for b in beliefs]
                add(f"{k}: {name}", self._earned(read))
                found["bits"].setdefault(f"{k}: {name}", []).append(bits)

    def ways(
        self, said: Sequence[Belief], sure: Mapping[str, float]
    ) -> dict[str, tuple[Sequence[Belief], float]]:
        """Return what is said of each object in the sender's terms, and the bits."""
        hidden, insert = self.theirs.hidden, self.theirs.insert
        names = [str(t.parameters["shape"]) for t in self.told_of]
        strange = [said[other(names, i)] for i in range(len(said))]
        only = [_only(b, insert) for b in said]
        found: dict[str, tuple[Sequence[Belief], float]] = {
            "none": through(Silence(), said),
            "full": through(Exact(hidden), said),
            "words": through(Template(hidden), said),
            "the insert alone": through(Exact(hidden), only),
        }
        for bits in BITS if insert in sure else ():
            channel = Quantised(hidden, {insert: bits}, sure)
            found[f"{bits} bits of the insert"] = through(channel, said)
        wrong = {
            "another task's": strange,
            "signs flipped": [flipped(b, hidden) for b in said],
            "overconfident": [overconfident(b) for b in said],
        }
        return found | {name: (beliefs, 0.0) for name, beliefs in wrong.items()}

    def _read(self, belief: Belief) -> Belief:
        """Return what the receiver believes of what is said in the sender's terms."""
        message = Message(
            sender=self.speaker.policy.source,
            family=self.theirs.name,
            belief=belief,
            episodes=1,
        )
        read = translated(message, self.theirs, self.own, turned=self.turned)
        self.left_out += read.left_out
        return heard(read.message, self.own)

    def _truth(self, task: Task) -> Belief:
        """Return the truth about insert and shape, in the receiver's own terms."""
        [insert] = (p for p in self.own.hidden if p.name == self.own.insert)
        assert isinstance(insert, Scaled)
        scale, x = Scale(insert.of), float(task.parameters[insert.name])
        place, _ = scale.place(Number(mean=x, std=1.0))
        return Belief(
            about={
                insert.name: scale.number(place, SURE),
                "shape": Names(probability={str(task.parameters["shape"]): 1.0}),
            }
        )

    def _earned(self, beliefs: Sequence[Belief]) -> Tensor:
        evidence = self.listener.evidence
        told: Trained = tell(
            self.listener.policy, evidence, beliefs, doubt=self.o.doubt
        )
        with simulator_threads():
            return self._bench.curve(told, (0,), Ledger())[0].returns


def _only(belief: Belief, name: str) -> Belief:
    about = {n: x for n, x in belief.about.items() if n == name}
    return Belief(about=about)


if __name__ == "__main__":
    main()
