"""Pictures of how the tasks of a family begin, on one page."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from meta.machine.files import write_atomically
from pliant.views.style import FAINT, INK, PAPER, typeface
from robots.sim.cpu import CpuSimulator
from robots.sim.render import Renderer
from tasks.env import Env
from tasks.family import Family
from tasks.parameters import Scalar
from tasks.rows import AGENT
from tasks.task import Task

SIZE = (400, 300)
"""Width and height of one picture [pixels]."""
_COLUMNS, _LINE = 4, 18


def draw_tasks(family: Family, path: Path, *, each: int = 4, seed: int = 0) -> None:
    """Draw the first state of the first tasks of every split, a row or more each.

    Args:
        family: the family, on the CPU.
        path: the picture to write; its suffix decides the format.
        each: number of tasks of a split.
        seed: decides the tasks and the states that they begin in.

    Raises:
        ValueError: for a format that cannot be written.
        OSError: if OpenGL cannot be had.
    """
    if path.suffix not in Image.registered_extensions():
        raise ValueError(f"{path}: pictures are .png or .jpg")
    team = family.team
    drawn = [family.sample(split, seed, each * team) for split in family.splits]
    env = Env(family, worlds=len(drawn) * each * team)
    env.assign([task for tasks in drawn for task in tasks])
    # of a team's tasks, one a world
    tasks = [task for tasks in drawn for task in tasks[::team]]
    env.reset(torch.Generator().manual_seed(seed))
    sim = env.sim
    if not isinstance(sim, CpuSimulator):
        raise TypeError("pictures are drawn of worlds on the CPU")
    states = sim.state()
    scalars = [p for p in family.parameters if isinstance(p, Scalar)]
    units = {p.name: "" if p.unit == "1" else f" {p.unit}" for p in scalars}
    cells = [
        _cell(_picture(sim, world, states), task, units)
        for world, task in enumerate(tasks)
    ]
    blank = np.broadcast_to(np.array(PAPER, np.uint8), cells[0].shape)
    cells += [blank] * (-len(cells) % _COLUMNS)
    rows = [
        np.concatenate(cells[i : i + _COLUMNS], axis=1)
        for i in range(0, len(cells), _COLUMNS)
    ]
    content = io.BytesIO()
    image = Image.fromarray(np.concatenate(rows))
    image.save(content, format=Image.registered_extensions()[path.suffix])
    write_atomically(path, content.getvalue())


def _picture(
    sim: CpuSimulator, world: int, states: np.ndarray
) -> UInt8[np.ndarray, "y x 3"]:
    model, (width, height) = sim.model_of(world), SIZE
    with Renderer(model, width=width, height=height) as renderer:
        renderer.zoom(states)
        return renderer.draw(states[world])


def _cell(
    picture: UInt8[np.ndarray, "y x 3"], task: Task, units: Mapping[str, str]
) -> UInt8[np.ndarray, "rows x 3"]:
    """Return a picture with the split and the task's parameters below it."""
    lines = [
        f"{name.replace('_', ' ')} {value}"
        if isinstance(value, str)
        else f"{name.replace('_', ' ')} {value:.3g}{units[name]}"
        for name, value in task.parameters.items()
        if name != AGENT
    ]
    width, height = SIZE
    page = Image.new("RGB", (width, height + _LINE * (len(lines) + 2)), PAPER)
    page.paste(Image.fromarray(picture))
    draw, y = ImageDraw.Draw(page), height + _LINE
    draw.text((10, y), task.split, INK, typeface(14.0, bold=True), "lm")
    for i, line in enumerate(lines):
        draw.text((10, y + _LINE * (i + 1)), line, FAINT, typeface(13.0), "lm")
    return np.asarray(page)
