"""Messages between families: the same place in the same object, or nothing."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import pliant
from meta.language.belief import Belief, Names, Number
from meta.language.message import Message
from meta.language.translation import translated
from tasks.manipulation.grasp import Grasp
from tasks.manipulation.push import Push
from tasks.objects.generator import make_solid
from tasks.objects.object_set import ObjectSet
from tasks.objects.turning import all_turned, turn
from tasks.registry import find_family

SOLIDS = ObjectSet((make_solid("box", 103), make_solid("ell", 102)))
HALF = {s.name: float(np.ptp(s.vertices[:, 0])) / 2 for s in SOLIDS.all}
GRASP, PUSH = Grasp(objects=SOLIDS), Push(objects=all_turned(SOLIDS, 90.0))


def said(family: str = "push", **about: Number | Names) -> Message:
    return Message(sender="", family=family, belief=Belief(about=about), episodes=1)


def sure(name: str) -> Names:
    return Names(probability={name: 1.0})


@pytest.mark.parametrize("name", list(HALF))
def test_the_insert_is_where_the_simulators_put_the_centre_of_mass(name: str) -> None:
    """The bodies of both worlds, as MuJoCo is given them, balance at one point."""
    message = said(insert_y=Number(mean=0.021, std=0.002, unit="m"), shape=sure(name))
    read = translated(message, PUSH, GRASP, turned=90.0).message.belief.about[
        "insert_x"
    ]
    assert isinstance(read, Number)
    assert read.unit == "half lengths"
    places: list[torch.Tensor] = []
    for family, value in ((PUSH, 0.021), (GRASP, read.mean)):
        [task] = family.sample("train", 0, 1)
        own = {family.insert: value, "shape": name}
        task = replace(task, parameters={**task.parameters, **own})
        ipos = family.model_fields(family.values([task]))["body_ipos"]
        places.append(ipos[0, family.model.body("object").id])
    pushed, grasped = (np.array(p.tolist()) for p in places)
    assert (turn(-90.0) @ pushed)[:2] == pytest.approx(grasped[:2], abs=1e-6)
    back = translated(
        said("grasp", insert_x=read, shape=sure(name)), GRASP, PUSH, turned=-90.0
    )
    again = back.message.belief.about["insert_y"]
    assert isinstance(again, Number)
    assert (again.mean, again.std) == pytest.approx((0.021, 0.002), rel=1e-5)


def test_an_unsure_shape_makes_the_place_less_sure() -> None:
    """The law of total variance, against draws."""
    shares = dict(zip(HALF, (0.3, 0.7), strict=True))
    x = Number(mean=0.03, std=0.004, unit="m")
    message = said(insert_y=x, shape=Names(probability=shares))
    found = translated(message, PUSH, GRASP, turned=90.0).message.belief.about[
        "insert_x"
    ]
    rng = np.random.default_rng(0)
    half = rng.choice(list(HALF.values()), size=200_000, p=list(shares.values()))
    drawn = rng.normal(x.mean, x.std, size=len(half)) / half
    assert isinstance(found, Number)
    assert found.mean == pytest.approx(drawn.mean(), rel=0.003)
    assert found.std == pytest.approx(drawn.std(), rel=0.01)


def test_half_a_turn_changes_the_side() -> None:
    x = Number(mean=0.03, std=0.004, unit="m")
    back = Push(objects=all_turned(SOLIDS, 270.0))
    [found] = translated(
        said(insert_y=x), back, PUSH, turned=180.0
    ).message.belief.about.values()
    assert isinstance(found, Number)
    assert (found.mean, found.std) == pytest.approx((-0.03, 0.004))


@pytest.mark.parametrize("turned", [0.0, 45.0, 180.0])
def test_another_line_in_the_object_is_left_out(turned: float) -> None:
    lies = Push(objects=all_turned(SOLIDS, turned))
    x = Number(mean=0.02, std=0.002, unit="m")
    found = translated(said(insert_y=x), lies, GRASP, turned=turned)
    assert found.message.belief == Belief()
    assert found.left_out == {"insert_y": "insert_x lies on another line in the object"}


def test_what_the_reader_never_meets_is_left_out_and_the_rest_passes() -> None:
    mass = Number(mean=0.3, std=0.05, unit="kg")
    friction = Number(mean=0.3, std=0.05, unit="1")
    found = translated(said(mass=mass, friction=friction), PUSH, GRASP, turned=90.0)
    assert found.message.belief == Belief(about={"mass": mass})
    assert found.message.family == "grasp"
    assert found.left_out == {"friction": "grasp has 0.4 to 1.3, not 0.3"}


def test_an_insert_out_of_reach_is_left_out_by_the_senders_name() -> None:
    x = Number(mean=0.5, std=0.004, unit="m")
    found = translated(said(insert_y=x), PUSH, GRASP, turned=90.0)
    assert found.message.belief == Belief()
    [(name, why)] = found.left_out.items()
    assert name == "insert_y"
    assert why.startswith("grasp has ")


def test_families_without_a_common_object_are_refused() -> None:
    with pytest.raises(ValueError, match="objects of their own, which are not the sam"):
        translated(said(), Push(), GRASP)
    with pytest.raises(ValueError, match="box-103 is not the same before push, turn"):
        translated(said(), PUSH, GRASP, turned=0.0)
    with pytest.raises(ValueError, match="do not both handle objects"):
        translated(said("open"), find_family("open"), GRASP)


def test_from_one_family_to_the_other_in_a_line() -> None:
    x = Number(mean=0.02, std=0.002, unit="m")
    box = SOLIDS.all[0]
    sent = said(insert_y=x, friction=Number(mean=0.3, std=0.1, unit="1")).to_json()
    with pytest.warns(UserWarning, match=r"left out of the message: friction: grasp"):
        heard = pliant.read_message(
            sent, "grasp", object=box, sender="push", turned=90.0
        )
    [found] = heard.belief.about.values()
    assert isinstance(found, Number)
    assert found.mean == pytest.approx(0.02 / HALF[box.name], rel=1e-5)
    nothing = said().to_json()
    with pytest.raises(ValueError, match="about 'push', where the task is of 'grasp'"):
        pliant.read_message(nothing, "grasp", object=box)
    with pytest.raises(ValueError, match="finite angle"):
        pliant.read_message(sent, "push", object=box, turned=math.nan)
