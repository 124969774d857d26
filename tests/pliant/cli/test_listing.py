"""`pliant list`: all families on one screen, and one in full."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from meta.training.trained import shipped_policies
from pliant.cli.listing import _range
from tasks.parameters import SPLITS
from tasks.registry import FAMILIES

Call = Callable[..., Any]


def test_list_json_holds_every_family(call: Call) -> None:
    said = call("list", "--json")
    listed = json.loads(said.out)
    assert said.code == 0
    assert {f["name"] for f in listed["families"]} == set(FAMILIES)
    for family in listed["families"]:
        assert set(family["splits"]) >= {"train", "held-out", "extrapolation"}
        assert family["summary"]
        assert family["success"]
        assert any(p["hidden"] for p in family["parameters"])
        for parameter in family["parameters"]:
            assert set(parameter["ranges"]) == set(family["splits"])
    assert all(name.startswith("shipped:") for name in listed["policies"])


def test_list_ranges_are_where_tasks_are_drawn_from(call: Call) -> None:
    for family in json.loads(call("list", "--json").out)["families"]:
        for split in family["splits"]:
            tasks = FAMILIES[family["name"]]().sample(split, 0, 10)
            for parameter in family["parameters"]:
                ranges = parameter["ranges"][split]
                for task in tasks:
                    value = task.parameters[parameter["name"]]
                    inside = (
                        value in ranges
                        if isinstance(value, str)
                        else any(low <= value <= high for low, high in ranges)
                    )
                    assert inside, (family["name"], split, parameter, value)


def test_all_families_are_on_one_screen(call: Call) -> None:
    lines = call("list").out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    group = ""
    for name, family in FAMILIES.items():
        [line] = [x for x in lines if f" {name} " in x[13:]]
        hidden = str(sum(p.hidden for p in family.parameters))
        mark = "*" if family.in_episode else ""
        assert line[14:].split()[1:3] == [hidden + mark, str(len(family.splits))]
        group = line[:14].strip() or group
        assert group == family.__module__.split(".")[1]
    legend = " ".join(lines)
    assert f"{len(shipped_policies())} trained policies ship" in legend
    assert f"of {', '.join(SPLITS)}." in legend


def test_a_list_has_room_for_more_families(call: Call) -> None:
    """On the 24 lines of a small terminal, eighteen of them."""
    assert len(call("list").out.splitlines()) - len(FAMILIES) <= 24 - 18


def test_a_wide_terminal_shows_whole_summaries(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    out = call("list").out
    assert all(f"  {family.summary}\n" in out for family in FAMILIES.values())


def test_summaries_are_cut_only_where_the_screen_is_too_small(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "50")
    out = call("list").out
    assert max(map(len, out.splitlines())) <= 100
    words = " ".join(out.split())
    assert all(family.summary.split()[-1] in words for family in FAMILIES.values())
    assert "..." not in words
    monkeypatch.setenv("LINES", "24")
    assert len(call("list").out.splitlines()) <= 24


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_in_full(call: Call, name: str) -> None:
    out, family = call("list", "--family", name).out, FAMILIES[name]
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    assert words.startswith(f"{name}: {family.summary} success: {family.success} ")
    for parameter in family.parameters:
        assert f"\n  {parameter.name}" in out
    assert f"splits: {', '.join(family.splits)} " in words
    _, _, policies = words.partition("shipped policies: ")
    few = ("cheetah-velocity", "shove", "carry", "handover")
    once = name in few or name.startswith("drive-")
    assert policies.count(" shipped:") == policies.count("shipped:")
    seeds = "" if once else ", ...-seed1, ...-seed2"
    assert f"maml shipped:{name}{seeds} " in policies
    assert f" oracle shipped:{name}-oracle{seeds}" in policies
    assert policies.count("seed") + policies.count("shipped:") == len(
        [p for p in shipped_policies() if p.startswith(name)]
    )


def test_ranges_say_where_a_split_differs(call: Call) -> None:
    words = " ".join(call("list", "--family", "open").out.split())
    assert "latch [N]: 15 to 23, 27 to 35; interpolation 23 to 27; extrap" in words
    assert "travel [m]: 0.14 to 0.18; extrapolation 0.18 to 0.2 splits" in words
    assert "swing-in-left, swing-in-right, slide-left, slide-right; unseen ob" in words


def test_scenery_stands_apart_and_splits_of_one_parameter_are_named(call: Call) -> None:
    out = call("list", "--family", "push").out
    titles = ("hidden parameters:", "hidden, but scenery (")
    places = [out.index(f"\n{x}") for x in (*titles, "  friction:", "objects of your")]
    assert places == sorted(places)
    assert places[0] < out.index("\n  insert_y") < places[1]
    assert places[0] < out.index("\n  shape") < places[1]
    words = " ".join(out.split())
    alone = "extrapolation:insert_y, extrapolation:friction, extrapolation:mass"
    assert f"one parameter at a time: {alone} shipped" in words
    [family] = json.loads(call("list", "--family", "push", "--json").out)["families"]
    assert ", ".join(family["one_at_a_time"]) == alone
    scenery = {p["name"]: p["scenery"] for p in family["parameters"]}
    expected = {"insert_y": False, "friction": True, "mass": True, "shape": False}
    assert scenery == expected
    assert "scenery" not in call("list", "--family", "cheetah-direction").out


def test_only_names_numbered_in_turn_are_summed_up() -> None:
    names = ["tee", "tee-1", "tee-2", "tee-3", "tee-4", "tee-6", "ell-1", "ell-2"]
    assert _range(names) == "tee, tee-1 to tee-4, tee-6, ell-1, ell-2"
    assert _range([[0.5, 1.0], [2.0, 3.0]]) == "0.5 to 1, 2 to 3"
