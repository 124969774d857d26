"""Measure what meta-learning is worth to a small language model: few-shot texts.

    python -m benchmarks.language_models FOLDER --seeds 0 1 2 --out runs/language-models
    python -m benchmarks.language_models FOLDER --tune

FOLDER holds WordNet's `data.noun`. A task is to tell glosses of five nouns apart after
one gloss of each. The two uppermost of eight layers of SmolLM2-135M adapt by LoRA, and
beside it stands MiniLM, a sentence encoder. All methods meet the same hundred tasks of
nouns that were never shown. `--tune` tries settings on validation classes; those that
were best are in `language_methods`. A seed that `--out` holds is not run again.
"""

import copy
import json
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from torch import nn
from tyro.conf import Positional

from benchmarks.language_methods import (
    BACKBONES,
    METHODS,
    SMOL,
    Learner,
    Method,
    adapted,
)
from meta.evaluation.statistics import estimate, mean
from meta.inner import Adam, Sgd
from meta.language.backbone import load_language_model
from meta.learners.few_shot import Reptile
from policies.lora import add_lora, freeze
from policies.reader import Reader
from tasks.supervised.contract import Shots
from tasks.supervised.glosses import Glosses

TOKENS, EPISODES, TUNING_EPISODES, QUERIES, AT_ONCE = 20, 100, 40, 3, 4
TUNING_SEED = 100


def main(
    folder: Positional[Path],
    seeds: tuple[int, ...] = (0, 1, 2),
    out: Path = Path("runs/language-models"),
    methods: tuple[str, ...] = tuple(METHODS),
    tune: bool = False,
) -> None:
    """Run the seeds and print the table.

    Args:
        folder: holds WordNet's data.noun.
        seeds: of low-rank changes, heads and training tasks.
        out: folder for what was found, a file a method and seed.
        methods: rows to run.
        tune: print accuracy on validation classes over settings instead.
    """
    torch.set_num_threads(1)
    if unknown := [m for m in methods if m not in METHODS]:
        raise SystemExit(f"no method {unknown[0]!r}; there are: {', '.join(METHODS)}")
    try:
        family = Glosses(folder)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    out.mkdir(parents=True, exist_ok=True)
    for backbone in BACKBONES:
        asked = [
            (m, s) for m in methods for s in seeds if METHODS[m].backbone == backbone
        ]
        missing = [(m, s) for m, s in asked if not (out / f"{m}-{s}.json").exists()]
        if missing or tune:
            reader = read(backbone, family)
            if tune:
                try_settings(backbone, reader, family)
                continue
        for method, seed in missing:
            found = run(METHODS[method], reader, family, seed)
            (out / f"{method}-{seed}.json").write_text(json.dumps(found))
            print(method, seed, np.mean(found["scores"]), found["cpu"], flush=True)
    if not tune:
        print_table(out)


def read(backbone: str, family: Glosses) -> Reader:
    """Load a backbone and read all texts once."""
    start = time.process_time()
    name, layers = BACKBONES[backbone]
    reader = load_language_model(name, layers=layers).reader(
        family.texts, tokens=TOKENS
    )
    print(f"{backbone}: read in {time.process_time() - start:.0f} s of CPU", flush=True)
    return reader


def built(method: Method, reader: Reader, seed: int) -> Learner:
    """Make a method's learner, on fresh low-rank changes and a head of zeros."""
    torch.manual_seed(seed)
    own = Reader(reader.hidden, reader.count, copy.deepcopy(reader.layers))
    if method.frozen:
        with torch.no_grad():
            parts = torch.arange(len(own.hidden)).split(64)
            features = torch.cat([own(part) for part in parts])
        known = nn.Embedding.from_pretrained(features)
        freeze(known)
        return method.make(known, head(own.width))
    add_lora(own)
    return method.make(own, head(own.width))


def head(width: int, ways: int = 5) -> nn.Linear:
    """Return a linear layer of zeros: no class is preferred at first."""
    layer = nn.Linear(width, ways)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def run(method: Method, reader: Reader, family: Glosses, seed: int) -> dict[str, Any]:
    """Train and measure a method; return scores and what they took."""
    start = time.process_time()
    learner = built(method, reader, seed)
    train(learner, method, family, seed)
    trained = time.process_time()
    scores = measure(learner, family, "unseen", EPISODES)
    return {
        "scores": scores,
        "cpu": trained - start,
        "cpu_each": (time.process_time() - trained) / EPISODES,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def train(learner: Learner, method: Method, family: Glosses, seed: int) -> None:
    """Train on the split `train`, with a step size that falls to 0."""
    if not method.tasks:
        return
    rng = torch.Generator().manual_seed(seed)
    kind = torch.optim.SGD if isinstance(learner, Reptile) else torch.optim.Adam
    tensors = [p for p in learner.parameters() if p.requires_grad]
    optimizer = kind(tensors, lr=method.rate)
    for iteration in range(method.tasks // 2):
        left = 1 - 2 * iteration / method.tasks
        optimizer.param_groups[0]["lr"] = method.rate * left
        shots = family.sample("train", 2, rng, shots=1, queries=QUERIES)
        optimizer.zero_grad()
        learner(*shots).mean().backward()
        optimizer.step()


def measure(
    learner: Learner, family: Glosses, split: str, episodes: int
) -> list[float]:
    """Return the accuracy on each of some tasks, the same for all methods."""
    rng = torch.Generator().manual_seed(2**32)
    scores: list[float] = []
    for _ in range(episodes // AT_ONCE):
        shots = family.sample(split, AT_ONCE, rng, shots=1, queries=QUERIES)
        scores += _accuracies(learner, shots)
    return scores


@torch.no_grad()
def _accuracies(learner: Learner, shots: Shots) -> list[float]:
    support, query = shots
    # the kind of learner says what kind of adaptation it takes
    predicted = learner.predict(learner.adapt(support), query.x)  # pyright: ignore
    return (predicted.argmax(-1) == query.y).double().mean(1).tolist()


def try_settings(backbone: str, reader: Reader, family: Glosses) -> None:
    """Print the accuracy on validation classes over settings."""
    rules = [kind(r) for kind in (Sgd, Adam) for r in (3e-3, 1e-2, 3e-2, 1e-1, 3e-1)]
    for frozen, counts in ((True, (5, 10, 40)), (False, (5, 10))):
        for rule in rules:
            for steps in counts:
                method = Method(
                    title="",
                    backbone=backbone,
                    make=adapted(rule, steps),
                    frozen=frozen,
                )
                learner = built(method, reader, TUNING_SEED)
                found = measure(learner, family, "validation", TUNING_EPISODES)
                what = "frozen" if frozen else "plain"
                print(what, rule, steps, f"{np.mean(found):.3f}", flush=True)


def print_table(out: Path) -> None:
    """Print what the folder holds, each method beside plain LoRA where it can be."""
    rng = np.random.default_rng(0)
    found: dict[str, list[dict[str, Any]]] = {}
    for name in METHODS:
        files = sorted(out.glob(f"{name}-[0-9]*.json"))
        if files:
            found[name] = [json.loads(file.read_text()) for file in files]
    print("\n| backbone | method | accuracy | over plain LoRA | training tasks | CPU |")
    print("|---|---|---:|---:|---:|---:|")
    for name, runs in found.items():
        method = METHODS[name]
        scores = np.array([r["scores"] for r in runs])
        value = estimate([scores], mean, rng)
        gain = ""
        plain = found.get("plain" if method.backbone == SMOL else "mini-plain")
        if plain and runs is not plain:
            e = estimate(
                [scores, np.array([r["scores"] for r in plain])],
                lambda a, b: mean(a) - mean(b),
                rng,
            )
            gain = f"{e.value:+.3f} ({e.low:+.3f} to {e.high:+.3f})"
        cpu = np.mean([r["cpu"] for r in runs])
        print(
            f"| {method.backbone} | {method.title} | {value.value:.3f} "
            f"({value.low:.3f} to {value.high:.3f}) | {gain} | {method.tasks} | "
            f"{cpu:.0f} s |"
        )
    peak = max(r["peak"] for runs in found.values() for r in runs)
    print(f"\npeak of memory: {peak:.2f} GiB")


if __name__ == "__main__":
    tyro.cli(main)
