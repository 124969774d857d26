"""Words for parts of a range and for options, by parameter; see `codebook`.

Alternatives are set apart by "|", and the first is the one that is spoken. Left and
right are seen from the robot, or along the blow or push.
"""

from collections.abc import Mapping

Five = tuple[str, str, str, str, str]
_GRIPS = ("very slippery", "slippery", "of middling grip", "grippy", "very grippy")


def _under(side: str) -> Five:
    """Return words for the grip under one end."""
    first, second, third, fourth, fifth = (
        f"the {side} end {grip}|{grip} at the {side} end|{grip} under the {side} end|"
        f"{grip} under the {side}|{grip} on the {side}"
        for grip in _GRIPS
    )
    return first, second, third, fourth, fifth


NUMBERS: Mapping[str, Five] = {
    "friction": (
        "very slippery|extremely slippery|like ice",
        "slippery|slick|smooth underneath",
        "neither slippery nor grippy|of middling grip|of medium grip",
        "grippy|rough underneath",
        "very grippy|extremely grippy|very rough underneath",
    ),
    "mass": (
        "very light|featherweight",
        "light|lightweight",
        "of middling weight|of medium weight",
        "heavy",
        "very heavy",
    ),
    "insert_y": (
        "very heavy on the right|far heavier on the right",
        "heavy on the right|heavier on the right|weighted to the right",
        "evenly balanced|well balanced|balanced",
        "heavy on the left|heavier on the left|weighted to the left",
        "very heavy on the left|far heavier on the left",
    ),
    "insert_x": (
        "very heavy at the near end|far heavier at the near end",
        "heavy at the near end|heavier at the near end|heavy near you",
        "evenly balanced|well balanced|balanced",
        "heavy at the far end|heavier at the far end|heavy away from you",
        "very heavy at the far end|far heavier at the far end",
    ),
    "size": (
        "very small|tiny",
        "small",
        "of middling size|of medium size",
        "large|big",
        "very large|very big|huge",
    ),
    "offset_x": (
        "much nearer than it looks|much closer than it looks",
        "nearer than it looks|closer than it looks",
        "as far away as it looks",
        "farther than it looks|further than it looks",
        "much farther than it looks|much further than it looks",
    ),
    "offset_y": (
        "far to the right of where it looks|well to the right|far to the right",
        "to the right of where it looks|to the right",
        "neither left nor right of where it looks|neither left nor right",
        "to the left of where it looks|to the left",
        "far to the left of where it looks|well to the left|far to the left",
    ),
    "clearance": (
        "very tight",
        "tight|snug",
        "of middling fit",
        "loose",
        "very loose",
    ),
    "aim": (
        "aims far to the right",
        "aims to the right",
        "aims straight",
        "aims to the left",
        "aims far to the left",
    ),
    "bumper": (
        "bumper turned far to the right",
        "bumper turned to the right",
        "bumper straight",
        "bumper turned to the left",
        "bumper turned far to the left",
    ),
    "restitution": (
        "very dull|very dead",
        "dull|dead",
        "of middling bounce",
        "lively|bouncy",
        "very lively|very bouncy",
    ),
    "slack": (
        "brakes at once|no slack",
        "brakes soon|little slack",
        "brakes after a moment|some slack",
        "brakes late|much slack|slack cable",
        "brakes very late|very much slack",
    ),
    "velocity": (
        "stands|hardly moves|very slow",
        "walks|slow",
        "trots|of middling speed|of medium speed",
        "runs|fast",
        "sprints|very fast",
    ),
    "friction_left": _under("left"),
    "friction_right": _under("right"),
    "friction_east": (
        "the eastbound tyres very slippery|very worn eastbound tyres",
        "the eastbound tyres slippery|worn eastbound tyres",
        "the eastbound tyres of middling grip|half worn eastbound tyres",
        "the eastbound tyres grippy|good eastbound tyres",
        "the eastbound tyres very grippy|new eastbound tyres",
    ),
    "friction_north": (
        "the northbound tyres very slippery|very worn northbound tyres",
        "the northbound tyres slippery|worn northbound tyres",
        "the northbound tyres of middling grip|half worn northbound tyres",
        "the northbound tyres grippy|good northbound tyres",
        "the northbound tyres very grippy|new northbound tyres",
    ),
    "load_x": (
        "its weight far on the left|very heavy on the left",
        "its weight on the left|heavy on the left|heavier on the left",
        "its weight in the middle|evenly balanced|well balanced|balanced",
        "its weight on the right|heavy on the right|heavier on the right",
        "its weight far on the right|very heavy on the right",
    ),
    "haste": (
        "jumps very slowly",
        "jumps slowly",
        "jumps at a middling speed",
        "jumps fast",
        "jumps very fast",
    ),
    "gain": (
        "steers very weakly|very weak steering",
        "steers weakly|weak steering",
        "steers middlingly|middling steering",
        "steers sharply|sharp steering",
        "steers very sharply|very sharp steering",
    ),
    "bias": (
        "pulls far to the right",
        "pulls to the right",
        "pulls to neither side|runs straight",
        "pulls to the left",
        "pulls far to the left",
    ),
    "lag": (
        "answers at once|very prompt steering",
        "answers soon|prompt steering",
        "answers after a moment",
        "answers late|late steering",
        "answers very late|very late steering",
    ),
    "height": (
        "reaches out very low",
        "reaches out low",
        "reaches out at a middling height",
        "reaches out high",
        "reaches out very high",
    ),
    "reach_time": (
        "reaches out very fast",
        "reaches out fast",
        "reaches out at a middling pace",
        "reaches out slowly",
        "reaches out very slowly",
    ),
    "hesitation": (
        "ready at once|does not hesitate",
        "ready soon|hesitates a little",
        "ready after a moment|hesitates",
        "ready late|hesitates long",
        "ready very late|hesitates very long",
    ),
    "grip": (
        "of a very light grip|holds very loosely",
        "of a light grip|holds loosely|wants a light pull",
        "of a middling grip",
        "of a firm grip|holds firmly|wants a firm pull",
        "of a very firm grip|holds very firmly",
    ),
    "latch": (
        "very weak latch",
        "weak latch",
        "middling latch",
        "strong latch|sticks",
        "very strong latch|sticks badly",
    ),
    "damping": (
        "moves very freely",
        "moves freely",
        "of middling stiffness",
        "stiff",
        "very stiff",
    ),
    "travel": (
        "very short travel",
        "short travel",
        "middling travel",
        "long travel",
        "very long travel",
    ),
    "rotation": (
        "turned far clockwise",
        "turned clockwise",
        "hardly turned|not turned|unturned",
        "turned counterclockwise|turned anticlockwise",
        "turned far counterclockwise|turned far anticlockwise",
    ),
    "shoulder_strength": (
        "very weak shoulder",
        "weak shoulder",
        "middling shoulder",
        "strong shoulder",
        "very strong shoulder",
    ),
    "elbow_strength": (
        "very weak elbow",
        "weak elbow",
        "middling elbow",
        "strong elbow",
        "very strong elbow",
    ),
}
"""Words for the five parts of a number's range, the least first, by parameter."""

OPTIONS: Mapping[str, Mapping[str, str]] = {
    "handed": {
        "left": "left-handed|uses the left hand",
        "right": "right-handed|uses the right hand",
    },
    "style": {
        "steady": "a steady person|patient",
        "impatient": "an impatient person|withdraws and comes again",
    },
    "habit": {
        "left": "jumps to the left|jumps left|always to the left",
        "right": "jumps to the right|jumps right|always to the right",
    },
    "mechanism": {
        "drawer": "a drawer|pulled straight out|pull it straight",
        "door-left": "a door hinged on the left|door-left|hinges on the left|"
        "hinge on the left|hinges left|hinged left|left-hinged door",
        "door-right": "a door hinged on the right|door-right|hinges on the right|"
        "hinge on the right|hinges right|hinged right|right-hinged door",
        "push-in": "pushed straight in|push-in|push it straight",
        "swing-in-left": "swings away from you, hinged on the left|swing-in-left|"
        "swings inwards, hinged on the left|pushed open, hinged on the left",
        "swing-in-right": "swings away from you, hinged on the right|swing-in-right|"
        "swings inwards, hinged on the right|pushed open, hinged on the right",
        "slide-left": "slides to the left|slides left|slide-left|sliding left",
        "slide-right": "slides to the right|slides right|slide-right|sliding right",
    },
    "shape": {
        "box": "a box|block|brick|cuboid|carton|book",
        "cylinder": "a cylinder|can|tin|drum|jar",
        "disc": "a disc|disk|puck|plate|coin|saucer",
        "wedge": "a wedge|doorstop|ramp",
        "roller": "a roller|rolling pin|lying cylinder",
        "superquadric": "a rounded thing|rounded|pillow|bar of soap",
        "hull": "a lump|stone|rock|pebble|irregular",
        "ell": "an L|L-shaped|bracket|angled",
        "lollipop": "a lollipop|paddle|pan with a handle|with a handle|spoon",
        "tee": "a T|T-shaped|hammer",
        "cross": "a cross|cross-shaped",
        "dumbbell": "a dumbbell|barbell",
    },
    "hole": {"square": "a square hole", "hexagon": "a hexagonal hole"},
    "mirrored": {
        "no": "as commanded|unmirrored",
        "yes": "mirrored|left and right swapped",
    },
    "direction": {
        "forwards": "runs forwards",
        "backwards": "runs backwards",
        "gives": "gives something|hands something over",
        "takes": "takes something|receives something",
    },
}
"""Words for options, by parameter; an option such as box-1 has those of box."""
