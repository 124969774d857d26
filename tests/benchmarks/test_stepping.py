"""The benchmark's foreign models are loaded without noise."""

import mujoco
import pytest

from benchmarks.stepping import quiet_about

MODEL = """<mujoco><compiler settotalmass="14"/><worldbody><body>
<geom size=".1"/></body></worldbody></mujoco>"""


def test_one_warning_of_mujoco_is_dropped_and_no_other(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for word in ("settotalmass", "friction"):
        with quiet_about(word):
            mujoco.MjModel.from_xml_string(MODEL)
        assert ("WARNING: " in capfd.readouterr().err) is (word != "settotalmass")
