"""Objects that families say they can handle: checked first, never inside the arm."""

import math
from pathlib import Path

import mujoco
import numpy as np
import pytest

from benchmarks.penetration import TOLERANCE, deepest, extremes
from tasks.manipulation.handling import HandlingFamily
from tasks.objects.object_set import ObjectSet
from tasks.objects.polyhedra import loft, rectangle
from tasks.objects.solids import Part, Solid, placed
from tasks.registry import FAMILIES, make_family

HANDLING = {n: f for n, f in FAMILIES.items() if issubclass(f, HandlingFamily)}
GUIDE = Path(__file__).parents[3] / "docs/guides/object.md"


def box(*sizes: float, name: str = "box") -> Solid:
    base = rectangle(0.0, 0.0, *sizes[:2])
    return placed(Solid(name, (Part(loft([(base, 0.0), (base, sizes[2])])),)))


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        (
            "grasp",
            (0.05, 0.05, 0.45),
            r"^box is 45 cm high along z \(grasp handles 2\.5 to 6\.5 cm\)$",
        ),
        ("grasp", (0.05, 0.08, 0.05), r"8 cm wide along y .* 1 to 7\.5 cm"),
        ("grasp", (0.05, 0.0751, 0.05), r"7\.51 cm wide along y .* 1 to 7\.5 cm"),
        ("push", (0.48, 0.06, 0.06), r"48 cm long along x \(push handles 4 to 25"),
        ("strike", (0.06, 0.48, 0.06), r"48 cm wide along y \(strike .* 4 to 25 cm"),
        (
            "push",
            (0.06, 0.06, 0.008),
            r"0\.8 cm high .* \(push handles 2 to 12\.5",
        ),
        (
            "push",
            (0.06, 0.04, 0.12),
            r"^box topples on .* 18.4 degrees \(push .* on 20\)$",
        ),
        ("strike", (0.48, 0.06, 0.008), r"48 cm long .* and 0\.8 cm high along z"),
    ],
)
def test_what_a_family_cannot_handle_is_refused_before_anything_is_built(
    name: str,
    sizes: tuple[float, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def built(*_: object) -> mujoco.MjModel:
        raise AssertionError("the scene was built")

    monkeypatch.setattr(HANDLING[name], "compile", built)
    fine = extremes(HANDLING[name].handles).seen
    for objects in (box(*sizes), [*fine, box(*sizes)]):
        with pytest.raises(ValueError, match=message):
            make_family(name, objects=objects)


@pytest.mark.slow
@pytest.mark.parametrize("name", HANDLING)
def test_what_is_accepted_never_interpenetrates(name: str) -> None:
    family = make_family(name, objects=extremes(HANDLING[name].handles))
    found = deepest(family, 30, every=2)
    assert found.robot, "the robot never touched the object"
    for depth, tolerated in zip(found.deepest, TOLERANCE[name], strict=True):
        assert depth < tolerated, str(found)


@pytest.mark.parametrize("name", HANDLING)
def test_all_of_the_arm_collides_with_a_users_object_only(name: str) -> None:
    own = make_family(name)
    brought = make_family(name, objects=extremes(HANDLING[name].handles).seen[0])
    arm = {
        family: [
            i
            for i in range(family.model.ngeom)
            if family.model.body_treeid[family.model.geom_bodyid[i]]
            == family.model.body_treeid[family.model.body("link7").id]
        ]
        for family in (own, brought)
    }
    assert len(arm[own]) >= 30

    def meet(model: mujoco.MjModel, a: int, b: int) -> bool:
        one, two = (int(model.geom_contype[i]) for i in (a, b))
        return bool(
            (one & model.geom_conaffinity[b]) | (two & model.geom_conaffinity[a])
        )

    for family, geoms in arm.items():
        model = family.model
        touched = np.array(
            [meet(model, i, model.body("object").geomadr[0]) for i in geoms]
        )
        assert touched.all() == (family is brought)
        # neither the table nor the arm meets more than the tool did
        tools = {i for i in geoms if model.geom_contype[i]}
        table = model.geom("table").id
        for i in geoms:
            assert meet(model, i, table) == (i in tools)
            for j in geoms:
                assert meet(model, i, j) == (i in tools and j in tools)


@pytest.mark.parametrize(
    ("name", "insert"),
    [("push", "insert_y"), ("grasp", "insert_x"), ("strike", "insert_y")],
)
def test_the_insert_stays_above_the_foot(name: str, insert: str) -> None:
    # a mushroom that stands on 3 cm, though its cap is as wide as trained objects are
    stem, cap = (rectangle(-s, -s, s, s) for s in (0.015, 0.035))
    parts = [[(stem, 0.0), (stem, 0.03)], [(cap, 0.03), (cap, 0.05)]]
    solid = placed(Solid("mushroom", tuple(Part(loft(rings)) for rings in parts)))
    family = make_family(name, objects=solid)
    drawn = [
        abs(float(task.parameters[insert]))
        for task in family.sample("extrapolation", 0, 50)
    ]
    scale = 0.035 if name == "grasp" else 1.0  # in half lengths, or metres
    assert 0.01 < scale * max(drawn) < 0.015


@pytest.mark.parametrize("name", ["push", "grasp"])
def test_an_object_without_a_foot_in_its_middle_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"crane topples in .*, which puts a heavy"):
        make_family(name, objects=placed(Solid("crane", _crane())))


def _crane() -> tuple[Part, ...]:
    """Return a block and a beam from it: their middle is beside the block."""
    block, beam = rectangle(0.0, 0.0, 0.03, 0.06), rectangle(0.03, 0.0, 0.08, 0.06)
    rings = [(block, 0.0), (block, 0.05)], [(beam, 0.04), (beam, 0.043)]
    return tuple(Part(loft(part)) for part in rings)


def test_the_guide_states_what_families_handle() -> None:
    text = GUIDE.read_text()
    for name, family in HANDLING.items():
        cells = [
            f"{100 * low:g} to {100 * high:g}"
            for low, high in family.handles.ranges.values()
        ]
        cells += [f"{math.degrees(family.handles.slope):.0f}"]
        assert f"| `{name}` | {' | '.join(cells)} |" in text


def test_a_set_refuses_the_same_object_twice() -> None:
    one, other = (box(0.1, 0.1, 0.04, name=f"{n}.obj#abc") for n in "ab")
    with pytest.raises(ValueError, match=r"the same as a\.obj#abc and b\.obj#abc"):
        ObjectSet((one,), (other,))
    with pytest.raises(ValueError, match=r"several different ones, got none"):
        ObjectSet(())
