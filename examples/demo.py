"""A demonstration, from nothing to an arm that adapts: `make demo`.

1. Meta-trains `reach-rotated` for a minute or two: watch the return after adaptation
   leave the return before it behind.
2. Evaluates the policy that it has just trained, on tasks that it has never met, beside
   the DR and the oracle that ship, and films it on one of them.
3. Does the same with the `strike` policies that ship, on shapes never met in training.

Everything is written to runs/demo/.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

import pliant
from pliant.views.report import print_table, write_report
from pliant.views.video import write_strip, write_video

OUT = Path("runs/demo")


def main() -> None:
    """Run the three parts."""
    cli = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cli.add_argument("--iterations", type=int, default=80, help="to train for")
    cli.add_argument("--tasks", type=int, default=30, help="to evaluate on")
    args = cli.parse_args()
    console, start = Console(), time.monotonic()

    console.rule("1  meta-train reach-rotated: reach through a rotated command frame")
    run = OUT / "run"
    trained = pliant.train(
        "reach-rotated", out=run, overwrite=True, iterations=args.iterations
    )

    console.rule("2  how the policy just trained adapts to tasks it has never met")
    show([trained], "held-out", args.tasks, console)

    console.rule("3  how shipped policies strike objects of shapes they have never met")
    shipped = [pliant.load(name) for name in pliant.policies("strike", "maml")]
    show(shipped, "unseen", args.tasks, console)
    console.print(
        f"done in {time.monotonic() - start:.0f} s; see {OUT}/reach-rotated and "
        f"{OUT}/strike: curve.png, report.md, video.mp4 and frames.png"
    )


def show(
    policies: Sequence[pliant.Trained], split: str, tasks: int, console: Console
) -> None:
    """Evaluate policies of one family and method, and film the first of them."""
    folder = OUT / policies[0].cfg.family
    with console.status("evaluating, a minute or two"):
        result = pliant.evaluate(
            policies, split=split, tasks=tasks, episodes=(0, 1, 2, 5)
        )
    print_table(result, console)
    write_report(result, folder)
    (folder / "results.json").write_text(result.to_json())
    with console.status("filming"):
        out = folder / "recording.npz"
        recording = pliant.record(policies[0], split=split, seed=7, out=out)
        write_video(recording, folder / "video.mp4")
        write_strip(recording, folder / "frames.png")


if __name__ == "__main__":
    main()
