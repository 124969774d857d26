"""A demonstration, from nothing to an arm that adapts: `make demo`.

1. Meta-trains `reach-rotated` for a minute or two: watch the return after adaptation
   leave the return before it behind.
2. Evaluates the shipped `strike` policies on shapes never met in training, beside
   random, DR, fine-tuning and oracle, and draws the adaptation curve.
3. Films one object before and after adaptation.

Everything is written to runs/demo/.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from meta.evaluation.baselines import with_shipped
from meta.evaluation.evaluate import evaluate
from meta.recipes.registry import make_config
from meta.recording.trajectory import record
from meta.training.run import train
from meta.training.trained import load_trained, shipped_policies
from pliant.views.report import print_table, write_report
from pliant.views.video import write_strip, write_video

OUT = Path("runs/demo")


def main() -> None:
    """Run the three parts."""
    cli = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cli.add_argument("--iterations", type=int, default=100, help="of live training")
    cli.add_argument("--tasks", type=int, default=100, help="unseen objects")
    args = cli.parse_args()
    console, start = Console(), time.monotonic()
    OUT.mkdir(parents=True, exist_ok=True)

    console.rule("1  meta-train reach-rotated: reach through a rotated command frame")
    cfg = replace(make_config("reach-rotated"), iterations=args.iterations)
    train(cfg, OUT / "reach-rotated", overwrite=True)

    console.rule("2  strike: adapt to objects of shapes never met in training")
    policies = [
        load_trained(f"shipped:{n}") for n in shipped_policies("strike", "maml")
    ]
    groups = with_shipped(policies[0], [])
    result = evaluate(
        policies,
        dr=groups["dr"],
        oracle=groups["oracle"],
        split="unseen-shapes",
        tasks=args.tasks,
        episodes=(0, 1, 2, 3, 5, 10),
        seed=0,
    )
    print_table(result, console)
    (OUT / "strike.json").write_text(result.to_json())
    write_report(result, OUT)

    console.rule("3  film one of them")
    recording = record(policies[0], split="unseen-shapes", seed=7, adapt_episodes=5)
    recording.save(OUT / "strike.npz")
    write_video(recording, OUT / "strike.mp4")
    write_strip(recording, OUT / "strike-frames.png")
    console.print(
        f"done in {time.monotonic() - start:.0f} s; see {OUT}/curve.png, "
        f"{OUT}/report.md and {OUT}/strike.mp4"
    )


if __name__ == "__main__":
    main()
