"""The simulators against plain `mj_step`, and what both promise whatever happens.

The CPU's is equal bit for bit. MuJoCo Warp, here on its CPU device, is held to single
precision in `test_robots_parity.py`; kernels compile once, for about half a minute.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import mujoco
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from robots.sim.cpu import CpuSimulator
from robots.sim.gpu import WarpSimulator
from robots.sim.simulator import Pools, Readings, Simulator

SUBSTEPS = 5
PERIODS = 40
FORCES = ("box_touch", "box_acc")
WORLDS = 4
BODY_FIELDS = ("body_mass", "body_inertia", "body_ipos", "body_iquat")
POOLS = Pools(contacts=32, constraints=64)
FIELDS = (
    *BODY_FIELDS,
    "geom_size",
    "geom_friction",
    "actuator_gainprm",
    "actuator_biasprm",
)
NOMINAL = {
    "inertial": 'pos="0 0 0" mass="1" diaginertia=".01 .01 .01"',
    "size": ".1 .1 .1",
    "friction": "1 .005 .0001",
    "kp": "5",
}
OTHERS = (
    {"inertial": 'pos="0 0 0" mass="2.5" diaginertia=".03 .03 .03"'},
    {
        "inertial": 'pos=".03 .02 -.01" mass="1.7" diaginertia=".02 .03 .04" '
        'quat=".9 .1 .2 .3"',
        "friction": ".3 .01 .0001",
    },
    {"size": ".07 .12 .09", "kp": "9"},
)


def make_model(**changed: str) -> mujoco.MjModel:
    """A box that falls between the floor and a driven arm that sweeps into it."""
    v = NOMINAL | changed
    return mujoco.MjModel.from_xml_string(f"""
    <mujoco>
      <option timestep="0.004"/>
      <worldbody>
        <geom name="floor" type="plane" size="0 0 1"/>
        <body name="box" pos="0 0 .12" simple="false">
          <freejoint/>
          <inertial {v["inertial"]}/>
          <geom name="box" type="box" size="{v["size"]}" friction="{v["friction"]}"
            priority="1"/>
          <site name="box" type="sphere" size=".3"/>
        </body>
        <body name="arm" pos="-.35 0 .08">
          <joint name="hinge" axis="0 0 1" damping=".1"/>
          <geom name="rod" type="capsule" fromto="0 0 0 .3 0 0" size=".03" mass=".5"/>
        </body>
      </worldbody>
      <actuator>
        <motor name="motor" joint="hinge"/>
        <position name="servo" joint="hinge" kp="{v["kp"]}"/>
      </actuator>
      <sensor>
        <framepos name="box_pos" objtype="body" objname="box"/>
        <framelinvel name="box_vel" objtype="body" objname="box"/>
        <framepos name="rod_pos" objtype="geom" objname="rod"/>
        <touch name="box_touch" site="box"/>
        <jointvel name="hinge_vel" joint="hinge"/>
        <accelerometer name="box_acc" site="box"/>
      </sensor>
    </mujoco>
    """)


def make_simulator(
    *, worlds: int = WORLDS, threads: int = 1, fields: Sequence[str] = FIELDS
) -> CpuSimulator:
    return CpuSimulator(
        make_model(), worlds=worlds, substeps=SUBSTEPS, fields=fields, threads=threads
    )


def make_warp(
    *, worlds: int = WORLDS, fields: Sequence[str] = FIELDS, pools: Pools = POOLS
) -> WarpSimulator:
    return WarpSimulator(
        make_model(),
        worlds=worlds,
        substeps=SUBSTEPS,
        fields=fields,
        pools=pools,
        device="cpu",
    )


Make = Callable[..., CpuSimulator | WarpSimulator]
both = pytest.mark.parametrize("make", [make_simulator, make_warp])


def start_states(worlds: int = WORLDS) -> tuple[Tensor, Tensor]:
    """The box tilted above the floor beside the arm, differently in each world."""
    rng = torch.Generator().manual_seed(1)
    qpos = torch.zeros(worlds, 8)
    qpos[:, :3] = torch.tensor([-0.1, 0.2, 0.2])
    qpos[:, 3:7] = torch.tensor([1.0, 0.1, 0.05, 0.0])
    qpos[:, 7] = torch.rand(worlds, generator=rng) * 0.2
    qpos[:, 3:7] /= qpos[:, 3:7].norm(dim=1, keepdim=True)
    return qpos, 0.3 * torch.randn(worlds, 7, generator=rng)


def draw_controls(worlds: int = WORLDS, periods: int = PERIODS) -> Tensor:
    rng = torch.Generator().manual_seed(2)
    return 2 * torch.rand(periods, worlds, 2, generator=rng)


def run_plainly(
    model: mujoco.MjModel, qpos: Tensor, qvel: Tensor, controls: Tensor
) -> tuple[NDArray[np.float32], mujoco.MjData]:
    """States after each control period by `mj_step` alone; qpos, then qvel."""
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = qpos.numpy(), qvel.numpy()
    states: list[NDArray[np.float64]] = []
    for ctrl in controls:
        data.ctrl[:] = ctrl.numpy()
        mujoco.mj_step(model, data, nstep=SUBSTEPS)
        states.append(np.concatenate([data.qpos, data.qvel]))
    return np.stack(states).astype(np.float32), data


def run(sim: Simulator, controls: Tensor) -> list[Readings]:
    return [sim.step(ctrl) for ctrl in controls]


def states_of(readings: Sequence[Readings]) -> Tensor:
    """(time, world, qpos then qvel)."""
    return torch.stack([torch.cat([r.qpos, r.qvel], dim=1) for r in readings])


def assert_bit_equal(a: Readings, b: Readings, worlds: Sequence[int]) -> None:
    ids = list(worlds)
    for name in ("time", "qpos", "qvel", "fault"):
        assert torch.equal(getattr(a, name)[ids], getattr(b, name)[ids]), name
    for name, values in a.sensors.items():
        assert torch.equal(values[ids], b.sensors[name][ids]), name


@pytest.mark.parametrize("threads", [1, 2])
def test_trajectories_equal_mj_step(threads: int) -> None:
    sim = make_simulator(threads=threads)
    qpos, qvel = start_states()
    controls = draw_controls()
    sim.reset(qpos, qvel)
    got = states_of(run(sim, controls)).numpy()
    for w in range(WORLDS):
        expected, data = run_plainly(make_model(), qpos[w], qvel[w], controls[:, w])
        np.testing.assert_array_equal(got[:, w], expected)
        assert data.ncon > 0  # the box ended up on something


def assign_others(sim: Simulator) -> list[mujoco.MjModel]:
    """Give worlds 1 to 3 the values of models compiled with them; world 0 none."""
    compiled = [make_model(), *(make_model(**changed) for changed in OTHERS)]
    fields = {
        name: torch.from_numpy(np.stack([getattr(m, name) for m in compiled[1:]]))
        for name in FIELDS
    }
    sim.assign(fields, torch.tensor([1, 2, 3]))
    return compiled


def test_assigned_worlds_equal_models_compiled_with_their_values() -> None:
    sim = make_simulator()
    compiled = assign_others(sim)
    qpos, qvel = start_states()
    controls = draw_controls()
    sim.reset(qpos, qvel)
    got = states_of(run(sim, controls)).numpy()
    for w, model in enumerate(compiled):
        expected, _ = run_plainly(model, qpos[w], qvel[w], controls[:, w])
        np.testing.assert_array_equal(got[:, w], expected)
    assert len(np.unique(got[-1, :, 0])) == WORLDS


def test_derived_constants_follow_assigned_values() -> None:
    sim = make_simulator()
    compiled = assign_others(sim)
    derived = (
        "body_subtreemass",
        "body_invweight0",
        "dof_invweight0",
        "dof_M0",
        "geom_rbound",
        "geom_aabb",
        "actuator_acc0",
        "tendon_invweight0",
    )
    for w, model in enumerate(compiled):
        for name in (*FIELDS, *derived):
            got = getattr(sim.model_of(w), name)
            np.testing.assert_array_equal(got, getattr(model, name), err_msg=name)
    assert compiled[1].body_subtreemass[1] == 2.5
    for name in ("body_invweight0", "geom_rbound", "geom_aabb"):
        assert any(
            (getattr(m, name) != getattr(compiled[0], name)).any() for m in compiled[1:]
        ), name


def test_assigning_again_replaces_the_values() -> None:
    sim = make_simulator()
    assign_others(sim)
    nominal = torch.from_numpy(make_model().body_mass)
    sim.assign({"body_mass": 2 * nominal.expand(WORLDS, -1)})
    for w in range(WORLDS):
        assert sim.model_of(w).body_subtreemass[1] == 2.0


@both
def test_readings_are_current_with_the_state(make: Make) -> None:
    sim = make()
    qpos, qvel = start_states()
    readings = [sim.reset(qpos, qvel), *run(sim, draw_controls(periods=15))]
    model = make_model()
    for r in readings:
        for w in range(WORLDS):
            data = mujoco.MjData(model)
            data.qpos[:], data.qvel[:] = r.qpos[w].numpy(), r.qvel[w].numpy()
            mujoco.mj_forward(model, data)
            for name in set(r.sensors) - set(FORCES):
                values = r.sensors[name]
                # the readings' state is rounded to float32, hence not bit for bit
                np.testing.assert_allclose(
                    values[w], data.sensor(name).data, atol=1e-5, err_msg=name
                )


@both
def test_forces_are_of_the_step_that_led_there(make: Make) -> None:
    """As `mj_step` leaves them, and none after a reset."""
    sim = make()
    qpos, qvel = start_states()
    controls = draw_controls(periods=25)
    sim.reset(qpos, qvel)
    felt = run(sim, controls)[-1].sensors
    for w in range(WORLDS):
        _, data = run_plainly(make_model(), qpos[w], qvel[w], controls[:, w])
        for name in FORCES:
            expected = data.sensor(name).data
            np.testing.assert_allclose(felt[name][w], expected, rtol=1e-3, atol=1e-3)
    assert (felt["box_touch"] > 1).sum() >= 2
    after = sim.reset(qpos, qvel).sensors
    assert not any(after[name].any() for name in FORCES)


@both
def test_time_advances_by_control_periods_and_restarts_at_reset(make: Make) -> None:
    sim = make()
    sim.reset(*start_states())
    assert sim.control_dt == pytest.approx(SUBSTEPS * 0.004)
    time = run(sim, draw_controls(periods=3))[-1].time
    torch.testing.assert_close(time, torch.full((WORLDS,), 3 * sim.control_dt))
    assert not sim.reset(*start_states()).time.any()


@both
def test_a_reading_does_not_change_under_its_holder(make: Make) -> None:
    sim = make()
    before = sim.reset(*start_states())
    qpos, sensor = before.qpos.clone(), before.sensors["box_vel"].clone()
    run(sim, draw_controls(periods=2))
    assert torch.equal(before.qpos, qpos)
    assert torch.equal(before.sensors["box_vel"], sensor)


@both
def test_reset_of_some_worlds_leaves_the_others_bit_equal(make: Make) -> None:
    qpos, qvel = start_states()
    controls = draw_controls(periods=20)
    sim, undisturbed = make(), make()
    for s in (sim, undisturbed):
        s.reset(qpos, qvel)
        run(s, controls[:10])
    some = torch.tensor([1, 3])
    sim.reset(qpos[some], qvel[some], some)
    for ctrl in controls[10:]:
        disturbed, expected = sim.step(ctrl), undisturbed.step(ctrl)
        assert_bit_equal(disturbed, expected, [0, 2])
        assert (disturbed.qpos != expected.qpos)[[1, 3]].any(1).all()


@both
def test_a_reset_world_remembers_nothing(make: Make) -> None:
    qpos, qvel = start_states()
    controls = draw_controls(periods=20)
    used, fresh = make(), make()
    used.reset(qpos.roll(1, 0), qvel.roll(1, 0))
    run(used, controls)
    for s in (used, fresh):
        s.reset(qpos, qvel)
    for ctrl in controls:
        assert_bit_equal(used.step(ctrl), fresh.step(ctrl), range(WORLDS))


@pytest.mark.parametrize("spoil", ["velocity", "nan control", "huge control"])
@pytest.mark.parametrize(
    "make", [make_simulator, partial(make_simulator, threads=2), make_warp]
)
def test_a_diverging_world_faults_alone_until_its_reset(spoil: str, make: Make) -> None:
    qpos, qvel = start_states()
    controls = draw_controls(periods=20)
    sim, healthy = make(), make()
    healthy.reset(qpos, qvel)
    wild, spoiled, first = qvel.clone(), controls.clone(), 0
    if spoil == "velocity":
        wild[2] = 1e12
    else:
        first = 3
        spoiled[first, 2, 0] = float("nan") if spoil == "nan control" else 1e30
    last = sim.reset(qpos, wild)
    for period, (good, bad) in enumerate(zip(controls, spoiled, strict=True)):
        got, expected = sim.step(bad), healthy.step(good)
        assert got.fault.tolist() == [False, False, period >= first, False]
        assert_bit_equal(got, expected, [0, 1, 3])
        if period < first:
            assert_bit_equal(got, expected, [2])
            last = got
            continue
        # frozen as it was before the period that went wrong
        for name in ("time", "qpos", "qvel"):
            assert torch.equal(getattr(got, name)[2], getattr(last, name)[2]), name
        for name, values in got.sensors.items():
            assert torch.equal(values[2], last.sensors[name][2]), name
            assert values.isfinite().all(), name
    one = torch.tensor([2])
    for s in (sim, healthy):
        healed = s.reset(qpos[one], qvel[one], one)
        assert not healed.fault.any()
    for ctrl in controls:
        assert_bit_equal(sim.step(ctrl), healthy.step(ctrl), range(WORLDS))


@both
def test_worlds_that_have_all_diverged_stay_frozen(make: Make) -> None:
    sim = make()
    qpos, qvel = start_states()
    sim.reset(qpos, qvel + 1e12)
    first = run(sim, draw_controls(periods=1))[0]
    assert first.fault.all()
    second = run(sim, draw_controls(periods=1))[0]
    assert_bit_equal(first, second, range(WORLDS))


def test_wrong_counts_are_refused() -> None:
    for kwargs in ({"worlds": 0}, {"threads": -1}):
        with pytest.raises(ValueError, match=r"at least 1 and threads at least 0 and"):
            make_simulator(**kwargs)
    with pytest.raises(ValueError, match="substeps=0"):
        CpuSimulator(make_model(), worlds=1, substeps=0)


@both
def test_wrong_fields_are_refused_with_what_is_allowed(make: Make) -> None:
    sim = make(fields=("geom_size", "body_mass"))
    friction = torch.ones(WORLDS, 3, 3)
    with pytest.raises(
        ValueError, match=r"'geom_friction'.*declared: body_mass, geom_size"
    ):
        sim.assign({"geom_friction": friction})
    with pytest.raises(ValueError, match=r"'body_mass'.*\(4, 3\), got \(4, 2\)"):
        sim.assign({"body_mass": torch.ones(WORLDS, 2)})
    with pytest.raises(ValueError, match=r"'body_mass'.*\(4, 3\), got \(1, 3\)"):
        sim.assign({"body_mass": torch.ones(1, 3)})
    with pytest.raises(ValueError, match=r"body_weight.* is not an? (expand|batch)"):
        make(fields=("body_weight",))


def test_warp_refuses_to_move_what_is_fixed_to_the_world() -> None:
    sim = make_warp(fields=("geom_pos",))
    moved = torch.from_numpy(sim.model.geom_pos).repeat(WORLDS, 1, 1)
    moved[:, sim.model.geom("box").id, 0] += 0.1
    sim.assign({"geom_pos": moved})
    moved[0, sim.model.geom("floor").id, 2] += 0.1
    with pytest.raises(ValueError, match=r"'geom_pos' cannot move .* a mocap body"):
        sim.assign({"geom_pos": moved})


def test_a_simple_body_refuses_another_centre_of_mass() -> None:
    # the engine would ignore the offset: the body was compiled without one
    body = "<body><freejoint/><geom size='.1'/></body>"
    xml = f"<mujoco><worldbody>{body}</worldbody></mujoco>"
    model = mujoco.MjModel.from_xml_string(xml)
    sim = CpuSimulator(model, worlds=2, substeps=1, fields=("body_ipos",), threads=1)
    with pytest.raises(ValueError, match=r"cannot assign body_ipos.*simple='false'"):
        sim.assign({"body_ipos": torch.full((2, 2, 3), 0.01)})


@both
def test_wrong_states_and_controls_are_refused(make: Make) -> None:
    sim = make()
    qpos, qvel = start_states()
    with pytest.raises(ValueError, match=r"qpos takes values of shape \(4, 8\)"):
        sim.reset(qpos[:1], qvel[:1])
    with pytest.raises(ValueError, match=r"qvel takes values of shape \(1, 7\)"):
        sim.reset(qpos[:1], qvel[:1, :6], torch.tensor([0]))
    with pytest.raises(ValueError, match="qvel to reset to must be finite"):
        sim.reset(qpos, qvel * float("nan"))
    with pytest.raises(ValueError, match=r"ctrl takes values of shape \(4, 2\)"):
        sim.step(torch.zeros(1, 2))


def test_a_run_continues_bit_for_bit_from_a_kept_state() -> None:
    sim, other = make_simulator(), make_simulator()
    for s in (sim, other):
        assign_others(s)
    sim.reset(*start_states())
    controls = draw_controls(periods=20)
    here = run(sim, controls[:10])[-1]
    kept = sim.state()
    expected = run(sim, controls[10:])
    # forces are no part of a state: they are known from the first step on
    none = {name: torch.zeros_like(here.sensors[name]) for name in FORCES}
    here = replace(here, sensors={**here.sensors, **none})
    assert_bit_equal(other.set_state(kept), here, range(WORLDS))
    assert_bit_equal(run(other, controls[10:])[-1], expected[-1], range(WORLDS))
    sim.set_state(kept)  # stepping on did not change what was kept
    assert_bit_equal(run(sim, controls[10:])[-1], expected[-1], range(WORLDS))
    with pytest.raises(ValueError, match=r"state takes values of shape \(4, "):
        sim.set_state(kept[:1])


def test_constants_are_those_of_models_compiled_with_the_values() -> None:
    sim = make_warp()
    compiled = assign_others(sim)
    names = (
        "body_subtreemass",
        "body_invweight0",
        "dof_invweight0",
        "geom_rbound",
        "geom_aabb",
        "actuator_acc0",
        "body_ipos",
        "geom_size",
    )
    for world, model in enumerate(compiled):
        for name in names:
            got = sim._targets[name][world].numpy().ravel()
            np.testing.assert_allclose(
                got, getattr(model, name).ravel(), rtol=1e-6, err_msg=name
            )
    assert len(compiled) == 1 + len(OTHERS)


def test_alike_neighbours_get_the_constants_of_their_own_values() -> None:
    sim = make_warp()
    mass = torch.from_numpy(make_model().body_mass)
    sim.assign({"body_mass": mass * torch.tensor([[2.0], [2.0], [3.0], [2.0]])})
    assert sim._targets["body_subtreemass"][:, 1].tolist() == [2.0, 2.0, 3.0, 2.0]


def test_assigning_one_field_keeps_the_others() -> None:
    sim = make_warp()
    compiled = assign_others(sim)
    mass = torch.from_numpy(compiled[0].body_mass)[None]
    sim.assign({"body_mass": 2 * mass}, torch.tensor([2]))
    inertia = sim._targets["body_inertia"][2].numpy()
    np.testing.assert_allclose(inertia, compiled[2].body_inertia, rtol=1e-6)
    assert sim._targets["body_subtreemass"][:, 1].tolist() == [1.0, 2.5, 2.0, 1.0]


def test_a_world_without_room_for_its_contacts_has_a_fault() -> None:
    sim = make_warp(worlds=2, pools=Pools(contacts=32, constraints=3))
    qpos = torch.tensor([[0, 0.3, 0.1, 1, 0, 0, 0, 0], [0, 0.3, 5.0, 1, 0, 0, 0, 0]])
    sim.reset(qpos, torch.zeros(2, 7))
    assert sim.step(torch.zeros(2, 2)).fault.tolist() == [True, False]


def test_models_that_warp_cannot_run_are_refused() -> None:
    model = make_model()
    model.opt.solver = mujoco.mjtSolver.mjSOL_PGS
    pools = Pools(contacts=8, constraints=8)
    with pytest.raises(ValueError, match="cannot run this model: mjSOL_PGS"):
        WarpSimulator(model, worlds=1, substeps=1, pools=pools, device="cpu")
    with pytest.raises(ValueError, match=r"at least 1, got worlds=0"):
        make_warp(worlds=0)
