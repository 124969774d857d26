"""Pictures of solids on one page, with the grid of complexity and difficulty."""

import io
import math
from collections.abc import Sequence

import mujoco
import numpy as np
from jaxtyping import Float, Int, UInt8
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from pliant.views.style import FAINT, INK, PAPER, RULE, Colour, typeface
from robots.sim.render import OVERVIEW, Renderer
from tasks.objects.complexity import CELLS, complexity, difficulty, grid
from tasks.objects.solids import Solid, volume

PARTS: tuple[Colour, ...] = (
    (244, 170, 74),
    (92, 200, 242),
    (150, 206, 116),
    (226, 124, 158),
)
"""Colours of a solid's convex parts."""
_WIDTH, _HEIGHT, _CAPTION, _GAP, _TOP = 240, 180, 66, 6, 56  # [pixels]
_SIZE = 0.11  # [m] that the diagonal of a solid's box has in the picture
_APART = 1.0  # [m]
_AIM = 0.021  # height of the point that the camera looks at, when it has not moved [m]


def draw_sheet(solids: Sequence[Solid], *, columns: int) -> bytes:
    """Return a PNG: each solid with its figures, row after row, and the grid.

    What a file shows, if there is any, is drawn to the left of its convex parts.

    Args:
        solids: the solids, in the order in which they are drawn.
        columns: number of pictures in a row.

    Raises:
        ValueError: if there is no solid.
        OSError: if OpenGL cannot be had.
    """
    if not solids:
        raise ValueError("there is no object to draw")
    measured = [(complexity(solid), difficulty(solid)) for solid in solids]
    wide = 1 + any(solid.visual for solid in solids)
    columns = max(1, min(columns // wide, len(solids)))
    rows = -(-len(solids) // columns)
    across, down = wide * _WIDTH + _GAP, _HEIGHT + _CAPTION
    chart = _chart(solids, measured)
    width = max(columns * across - _GAP, chart.width)
    page = Image.new("RGB", (width, _TOP + rows * down + chart.height), PAPER)
    draw = ImageDraw.Draw(page)
    face = typeface(21.0, bold=True)
    title = f"{len(solids)} object{'s' * (len(solids) != 1)}"
    draw.text((14, _TOP / 2), title, INK, face, "lm")
    left = 26 + face.getlength(title)
    about = "a colour for each convex part; all drawn at one size"
    if wide > 1:
        about = f"as in the file, and {about}"
    draw.text((left, _TOP / 2), about, FAINT, typeface(14.0), "lm")
    pictures = _pictures(solids)
    for i, (solid, found) in enumerate(zip(solids, measured, strict=True)):
        x, y = i % columns * across, _TOP + i // columns * down
        for k, picture in enumerate(pictures[i]):
            page.paste(Image.fromarray(picture), (x + k * _WIDTH, y))
        _caption(draw, (x + 8, y + _HEIGHT), solid, found)
    page.paste(chart, (0, _TOP + rows * down))
    content = io.BytesIO()
    page.save(content, format="PNG", optimize=True)
    return content.getvalue()


def _caption(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    solid: Solid,
    measured: tuple[float, float],
) -> None:
    x, y, z = (f"{100 * v:.1f}" for v in np.ptp(solid.vertices, axis=0))
    name = solid.name.partition("#")[0]
    draw.text((at[0], at[1] + 12), name, INK, typeface(14.0, bold=True), "lm")
    for line, text in (
        (30, f"{x} x {y} x {z} cm,  {1e6 * volume(solid):.0f} cm³"),
        (48, "complexity {:.2f},  difficulty {:.2f}".format(*measured)),
    ):
        draw.text((at[0], at[1] + line), text, FAINT, typeface(12.0), "lm")


def _pictures(solids: Sequence[Solid]) -> list[list[UInt8[np.ndarray, "y x 3"]]]:
    """Draw one scene with all solids in a row, by a camera that slides along it.

    Returns:
        The pictures of each solid: of what its file shows, if there is any, and of its
        parts.
    """
    model = _scene(solids)
    data = mujoco.MjData(model)
    kind = mujoco.mjtState.mjSTATE_INTEGRATION.value
    state = np.empty(mujoco.mj_stateSize(model, kind))
    drawn: list[list[UInt8[np.ndarray, "y x 3"]]] = []
    # drawn larger and made smaller, for smooth edges
    with Renderer(model, width=2 * _WIDTH, height=2 * _HEIGHT) as renderer:
        for i, solid in enumerate(solids):
            half = _scale(solid) * float(np.ptp(solid.vertices[:, 2])) / 2
            drawn.append([])
            for beside in [1, 0] if solid.visual else [0]:
                data.qpos[:] = _APART * beside, _APART * i, half - _AIM
                mujoco.mj_getState(model, data, state, kind)
                picture = Image.fromarray(renderer.draw(state))
                small = picture.resize((_WIDTH, _HEIGHT), Image.Resampling.LANCZOS)
                drawn[-1].append(np.asarray(small))
    return drawn


def _scale(solid: Solid) -> float:
    return _SIZE / float(np.linalg.norm(np.ptp(solid.vertices, axis=0)))


def _scene(solids: Sequence[Solid]) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    spec.visual.headlight.ambient = np.full(3, 0.45, np.float32)
    spec.visual.headlight.diffuse = np.full(3, 0.3, np.float32)
    spec.stat.extent = 1.0  # or what is near would be cut off: the row is long
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1], rgba=_rgba(RULE)
    )
    eye = spec.worldbody.add_body(name="eye", explicitinertial=True, mass=1)
    eye.inertia = np.ones(3)
    for axis in np.eye(3).tolist():
        eye.add_joint(type=mujoco.mjtJoint.mjJNT_SLIDE, axis=axis)
    # from the side of the long edges, and from above
    eye.add_camera(
        name=OVERVIEW,
        pos=[0.13, -0.24, 0.22],
        fovy=21,
        xyaxes=[0.879, 0.476, 0, -0.28, 0.518, 0.808],
    )
    eye.add_light(pos=[-0.3, -0.5, 0.8], dir=[0.3, 0.5, -0.8], diffuse=[0.5] * 3)
    for i, solid in enumerate(solids):
        parts = [
            (part.vertices, faces, _rgba(colour))
            for part, faces, colour in zip(
                solid.parts, solid.triangles, PARTS, strict=False
            )
        ]
        for beside, surfaces in enumerate((parts, solid.visual)):
            body = spec.worldbody.add_body(pos=[_APART * beside, _APART * i, 0])
            for k, (vertices, faces, rgba) in enumerate(surfaces):
                _add_surface(
                    spec,
                    body,
                    f"{i}:{beside}:{k}",
                    _scale(solid) * vertices,
                    faces,
                    rgba,
                )
    return spec.compile()


def _add_surface(
    spec: mujoco.MjSpec,
    body: mujoco.MjsBody,
    name: str,
    vertices: Float[np.ndarray, "n 3"],
    faces: Int[np.ndarray, "m 3"],
    rgba: tuple[float, float, float, float],
) -> None:
    spec.add_mesh(
        name=name,
        uservert=vertices.ravel().tolist(),
        userface=faces.ravel().tolist(),
        # one that is open or flat encloses nothing
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
    )
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=name,
        rgba=rgba,
        contype=0,
        conaffinity=0,
    )


def _chart(
    solids: Sequence[Solid], measured: Sequence[tuple[float, float]]
) -> Image.Image:
    """Draw the grid: how many solids lie in each cell, and a mark for each solid."""
    figure = Figure(figsize=(7.4, 5.2), layout="constrained", facecolor=_rgba(PAPER))
    axes = figure.add_subplot(facecolor=_rgba(PAPER))
    counts = np.zeros((CELLS, CELLS))
    for (row, column), cell in grid(solids).items():
        counts[column, row] = len(cell)
    ends = np.linspace(0, 1, CELLS + 1)
    axes.pcolormesh(
        ends,
        ends,
        np.sqrt(np.where(counts, counts, np.nan)),
        cmap="bone",
        vmin=0,
        vmax=2 * math.sqrt(counts.max()),
        edgecolors=_rgba(RULE),
    )
    kinds = [_kind(solid) for solid in solids]
    for i, kind in enumerate(dict.fromkeys(kinds)):
        x, y = np.array(
            [m for k, m in zip(kinds, measured, strict=True) if k == kind]
        ).T
        mark = "osD^v"[i // 10 % 5]
        axes.scatter(x, y, 26, color=f"C{i % 10}", marker=mark, label=kind)
    axes.set(xlim=(-0.02, 1), ylim=(0, 1.02), xlabel="complexity", ylabel="difficulty")
    axes.tick_params(colors=_rgba(FAINT))
    legend = axes.legend(
        loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, fontsize=9
    )
    for text in (axes.xaxis.label, axes.yaxis.label, *legend.get_texts()):
        text.set_color(_rgba(INK))
    content = io.BytesIO()
    figure.savefig(content, dpi=110, facecolor=_rgba(PAPER))
    return Image.open(content).convert("RGB")


def _kind(solid: Solid) -> str:
    """Return a generated solid's kind, or a file's name."""
    name = solid.name.partition("#")[0]
    return name if "#" in solid.name else name.rpartition("-")[0] or name


def _rgba(colour: Colour) -> tuple[float, float, float, float]:
    r, g, b = (v / 255 for v in colour)
    return r, g, b, 1.0
