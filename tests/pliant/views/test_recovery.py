"""Recoveries as people see them: a row a method, and a picture."""

from pathlib import Path

from rich.console import Console

from meta.evaluation.recovery import WINDOW, Changed, Recovery
from meta.evaluation.statistics import Estimate
from meta.experience.schedule import schedule_over
from pliant.views.recovery import print_changed, write_changed


def made() -> Changed:
    def at(value: float) -> Estimate:
        return Estimate(value=value, low=value - 0.1, high=value + 0.1)

    def recovery(level: float, steps: float | None) -> Recovery:
        return Recovery(
            during=tuple(at(level / 25) for _ in range(25)),
            rest=at(level / 2),
            before=at(level),
            stale=at(level - 0.3),
            after=tuple(at(level - 0.3 + 0.06 * k) for k in range(WINDOW + 1)),
            steps=None if steps is None else at(steps),
        )

    return Changed(
        family="reach-rotated",
        split="held-out",
        seed=0,
        tasks=7,
        horizon=25,
        schedule=schedule_over(25, "ramp"),
        methods={"maml": recovery(1.0, 113.0), "dr": recovery(0.5, None)},
        policies={"maml": [{}, {}], "dr": [{}]},
    )


def test_each_method_has_a_row_and_a_line(tmp_path: Path) -> None:
    console = Console(record=True, width=200)
    print_changed(made(), console)
    said = console.export_text()
    assert "ramp" in said
    [maml] = [line for line in said.splitlines() if "MAML-PPO" in line]
    assert "1.00 [0.90, 1.10]" in maml
    assert "113 [113, 113]" in maml
    [dr] = [line for line in said.splitlines() if " DR " in line]
    assert "no gain" in dr
    write_changed(made(), tmp_path / "new")
    assert (tmp_path / "new/recovery.png").read_bytes().startswith(b"\x89PNG")
    report = (tmp_path / "new/report.md").read_text()
    assert "| MAML-PPO | 1.00 [0.90, 1.10]" in report
    assert "(recovery.png)" in report
