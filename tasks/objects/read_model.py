"""An MJCF or URDF file, read by MuJoCo, as the geoms of one rigid body.

This runs in a process of its own; see `confined`. Bodies without joints are one body,
what stands in the world is no part of an object that can move, and geoms that touch
nothing are drawn only. Where the file is part of a larger model, it is read as that
model would include it.
"""

import copy
import itertools
import os
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
from jaxtyping import Float, Int
from mujoco import mjtGeom, mjtJoint

from tasks.objects.concave import concave, use_exact_inertia
from tasks.objects.confined import Arrays, RefusedError
from tasks.objects.fragments import parsed_xml, spec_of
from tasks.objects.geoms import hull_of, surface_of
from tasks.objects.polyhedra import Points
from tasks.objects.urdf import urdf_spec, without_impossible_inertia
from tasks.objects.visuals import Visual, area, packed

SUFFIXES = (".xml", ".urdf")
MAX_GEOMS = 500
_ABOVE = 3  # folders above the file's in which what it names may lie


def read_model(path: str) -> Arrays:
    """Read a model; see `mesh_file.Found` for the arrays.

    Raises:
        RefusedError: for a model that does not compile, or is not one rigid body.
    """
    # or a log file would appear in the folder that names are relative to
    mujoco.set_mju_user_warning(_ignore)  # pyright: ignore[reportAttributeAccessIssue]
    file = Path(path).resolve()
    root = parsed_xml(file)
    notes = [] if root.tag != "robot" else without_impossible_inertia(root)
    model, odd = _model(file, root)
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    bodies = _object(model)
    geoms = np.flatnonzero(np.isin(model.geom_bodyid, bodies))
    solid = [i for i in geoms.tolist() if model.geom_type[i] not in _FLAT]
    touching = [i for i in solid if model.geom_contype[i] | model.geom_conaffinity[i]]
    if not touching:  # contacts are then chosen by pairs, or by what includes the file
        hidden = [i for i in solid if model.geom_group[i] >= 3]
        touching = hidden or solid
    if not 1 <= len(touching) <= MAX_GEOMS:
        raise RefusedError(
            f"an object has 1 to {MAX_GEOMS} geoms that collide, got {len(touching)}"
        )
    found, open_ = _pieces(model, data, touching)
    visuals = _visuals(model, data, solid, touching)
    mass = {} if odd else _mass(model, data, bodies)
    points = np.concatenate([a for a in found.values() if a.dtype.kind == "f"])
    if not odd and not _possible(mass, points):
        notes.append("mass and inertia are none that its shape can have")
        mass = {}
    notes = [f"{note}: its shape decides them" for note in notes] + open_
    if notes:
        found["note"] = np.array("; ".join(notes))
    return found | mass | packed(visuals)


_FLAT = (mjtGeom.mjGEOM_PLANE.value, mjtGeom.mjGEOM_HFIELD.value)


def _pieces(
    model: mujoco.MjModel, data: mujoco.MjData, touching: list[int]
) -> tuple[Arrays, list[str]]:
    """Return convex pieces and other closed surfaces, and notes on meshes that gape."""
    found: Arrays = {}
    notes: list[str] = []
    hulls = bodies = 0
    for i in touching:
        body = None
        try:
            body = concave(model, i)
        except RefusedError as error:
            name = model.mesh(int(model.geom_dataid[i])).name
            notes.append(f"mesh {name!r} counts as its convex hull: {error}")
        if body is None or body.shells:
            for vertices, faces in body.shells if body else [hull_of(model, i)]:
                found[f"hull{hulls}"] = _placed(vertices, data, i)
                found[f"hull{hulls}_faces"] = faces
                hulls += 1
        else:
            vertices, faces = body.surface
            found[f"body{bodies}_vertices"] = _placed(vertices, data, i)
            found[f"body{bodies}_faces"] = faces
            bodies += 1
    return found, notes


def _ignore(warning: str) -> None:
    """Do nothing with a warning of the compiler."""


def _model(path: Path, root: ElementTree.Element) -> tuple[mujoco.MjModel, bool]:
    """Compile a file; what it names may be given relative to a folder above it.

    Returns:
        The model, and whether MuJoCo cannot tell the mass of one of its meshes.
    """
    first: Exception | None = None
    folders = list(path.parents)[: _ABOVE + 1]
    # textures are wanted for colours only
    for textured, folder in itertools.product((True, False), folders):
        os.chdir(folder)
        try:
            spec = _spec(path, copy.deepcopy(root), folder)
            if not textured:
                _without_textures(spec)
            model = spec.compile()
            bodies = _object(model) if model.nbody > 1 else np.zeros(1, np.int64)
            changed, odd = use_exact_inertia(spec, model, bodies)
            if model.nbody == 1:
                return _lifted(spec), odd
            return spec.compile() if changed else model, odd
        except ValueError as error:
            first = first or error
            if "file" not in str(error).lower():
                break
    raise RefusedError(" ".join(str(first).split()))


def _without_textures(spec: mujoco.MjSpec) -> None:
    for material in spec.materials:
        material.textures = [""] * len(material.textures)
    for texture in spec.textures:
        spec.delete(texture)


def _spec(path: Path, root: ElementTree.Element, folder: Path) -> mujoco.MjSpec:
    if root.tag == "robot":
        return urdf_spec(root, path.parent)
    return spec_of(path, root, folder)


def _lifted(spec: mujoco.MjSpec) -> mujoco.MjModel:
    """Compile what stands in the world as a body of its own, which has a mass."""
    outer = mujoco.MjSpec()
    outer.attach(spec, frame=outer.worldbody.add_body(name="object").add_frame())
    return outer.compile()


def _object(model: mujoco.MjModel) -> Int[np.ndarray, "b"]:
    """Return the bodies of the object: those fixed to the one that can move.

    Raises:
        RefusedError: for joints within the object, or several objects.
    """
    welded = model.body_weldid
    solid = ~np.isin(model.geom_type, _FLAT)
    used = set(welded[model.geom_bodyid[solid]].tolist())
    moving = [b for b in used if b and _is_free(model, b)]
    if len(moving) > 1:
        raise RefusedError(f"holds several objects that move: {_names(model, moving)}")
    root = moving[0] if moving else 0
    inner = [b for b in used if b != root and (not moving or _within(model, b, root))]
    if inner:
        joint = int(model.body_jntadr[inner[0]])
        kind = mjtJoint(model.jnt_type[joint]).name[6:].lower()
        raise RefusedError(
            f"articulated: joint {model.joint(joint).name!r} ({kind}) moves "
            f"{_names(model, inner)}; an object is one rigid body, fixed or free"
        )
    bodies = np.flatnonzero(welded == root)
    if moving:
        return bodies
    bodies = bodies[bodies > 0]
    tops = {
        int(model.body_rootid[b])
        for b in model.geom_bodyid[solid]
        if model.body_rootid[b]
    }
    if len(tops) > 1:
        raise RefusedError(f"holds several objects: {_names(model, sorted(tops))}")
    return bodies[np.isin(model.body_rootid[bodies], list(tops))]


def _is_free(model: mujoco.MjModel, body: int) -> bool:
    """Return whether the joints of a body place it in the world, and no more."""
    start, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
    kinds = model.jnt_type[start : start + count].tolist()
    slides = kinds.count(mjtJoint.mjJNT_SLIDE.value)
    at_root = model.body_weldid[model.body_parentid[body]] == 0
    return at_root and (mjtJoint.mjJNT_FREE.value in kinds or slides > 1)


def _within(model: mujoco.MjModel, body: int, root: int) -> bool:
    while body > root:
        body = int(model.body_parentid[body])
    return body == root


def _names(model: mujoco.MjModel, bodies: list[int]) -> str:
    names = [repr(model.body(b).name or f"body {b}") for b in bodies]
    return ", ".join([*names[:3], "..."] if len(names) > 3 else names)


def _mass(
    model: mujoco.MjModel, data: mujoco.MjData, bodies: Int[np.ndarray, "b"]
) -> Arrays:
    """Mass, centre of mass, and second moments about it per unit of mass."""
    masses = model.body_mass[bodies]
    mass = float(masses.sum())
    if not mass > 0:
        return {}
    com = masses @ data.xipos[bodies] / mass
    spread = np.zeros((3, 3))
    for body, share in zip(bodies, masses / mass, strict=True):
        if share:
            inertia = model.body_inertia[body] / model.body_mass[body]
            axes = data.ximat[body].reshape(3, 3)
            own = axes @ np.diag(inertia.sum() / 2 - inertia) @ axes.T
            apart = data.xipos[body] - com
            spread += share * (own + np.outer(apart, apart))
    return {"mass": np.array(mass), "com": com, "spread": spread}


def _possible(mass: Arrays, points: Points) -> bool:
    """Return whether a body within some points can have these mass properties."""
    if not mass:
        return False
    com, slack = mass["com"], 0.1 * np.ptp(points, axis=0)
    inside = (points.min(0) - slack <= com) & (com <= points.max(0) + slack)
    farthest = ((points - com) ** 2).sum(1).max()
    return bool(inside.all()) and float(np.trace(mass["spread"])) <= farthest


def _visuals(
    model: mujoco.MjModel, data: mujoco.MjData, solid: list[int], touching: list[int]
) -> list[Visual]:
    """Return what is to be seen: of geoms that only are drawn, if they are the body."""
    drawn = [i for i in solid if model.geom_group[i] <= 2 and _colour(model, i)[3] > 0]
    bare = [_visual(model, data, i) for i in drawn if i not in touching]
    both = [_visual(model, data, i) for i in touching]
    if sum(map(area, bare)) > 0.5 * sum(map(area, both)):
        return bare
    return [_visual(model, data, i) for i in drawn] or both


def _visual(model: mujoco.MjModel, data: mujoco.MjData, i: int) -> Visual:
    vertices, faces = surface_of(model, i)
    r, g, b, a = (float(c) for c in _colour(model, i))
    return Visual(_placed(vertices, data, i), faces, (r, g, b, a))


def _colour(model: mujoco.MjModel, i: int) -> Float[np.ndarray, "4"]:
    """Colour of a geom: its own, or its material's times the mean of the texture."""
    material = int(model.geom_matid[i])
    if material < 0:
        return model.geom_rgba[i]
    colour = np.array(model.mat_rgba[material], dtype=float)
    for texture in model.mat_texid[material]:
        if texture >= 0:
            start = int(model.tex_adr[texture])
            channels = int(model.tex_nchannel[texture])
            count = int(model.tex_height[texture]) * int(model.tex_width[texture])
            pixels = model.tex_data[start : start + count * channels]
            mean = pixels.reshape(count, channels).mean(0) / 255
            colour[:3] *= mean[:3] if channels >= 3 else mean[0]
            break
    return colour


def _placed(
    points: Float[np.ndarray, "n 3"], data: mujoco.MjData, i: int
) -> Float[np.ndarray, "n 3"]:
    return points @ data.geom_xmat[i].reshape(3, 3).T + data.geom_xpos[i]
