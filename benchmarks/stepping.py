"""Env steps per second, over bare stepping and over Gymnasium's vector environments."""

import os

import gymnasium
import mujoco
import numpy as np
import torch
from mujoco.batch import Batch

from benchmarks.row import Row, rates
from meta.machine.devices import simulator_threads
from tasks.env import Env
from tasks.registry import make_family

WORLDS = 800
STEPS = 50


def step_over_bare(name: str, seconds: float) -> Row:
    """`Env.step` over `mujoco.batch` stepping the same worlds under the same controls.

    The bare loop writes controls and steps, with observations current with the state
    (stage VEL), as any policy needs them; nothing else.
    """
    family = make_family(name)
    env = Env(family, worlds=WORLDS)
    env.assign(family.sample("train", 0, WORLDS))
    rng = torch.Generator().manual_seed(0)
    actions = torch.rand(STEPS, WORLDS, env.action_dim, generator=rng) * 2 - 1
    bare = Batch(family.model, WORLDS)
    values = family.model_fields(family.values(env.tasks)) if family.fields else {}
    for field in family.fields:
        bare.expand(field)[:] = values[field].numpy()
    bare.set_const()
    for field in family.fields:  # set_const has put the bounds of meshes back
        bare.expand(field)[:] = values[field].numpy()
    state, controls = _recorded(env, actions)

    def ours() -> int:
        env.reset(torch.Generator().manual_seed(0))
        for action in actions:
            env.step(action)
        return WORLDS * STEPS

    def theirs() -> int:
        bare.state[:] = state
        for ctrl in controls:
            bare.ctrl = ctrl
            bare.step(nstep=family.substeps, stage=mujoco.mjtStage.mjSTAGE_VEL.value)
        return WORLDS * STEPS

    with simulator_threads():
        speed = rates({"ours": ours, "bare": theirs}, seconds)
    return Row(
        what=f"Env.step of {name} over bare mujoco.batch",
        ratio=speed["ours"] / speed["bare"],
        least=0.85,
        figures=f"{speed['ours']:,.0f} / {speed['bare']:,.0f} env steps/s",
    )


def gymnasium_ratios(seconds: float) -> list[Row]:
    """cheetah-direction against HalfCheetah-v5 behind Gymnasium's vector environments.

    The same model, frame skip and cores. Both vector environments get a few sizes and
    are credited with their fastest.
    """
    family = make_family("cheetah-direction")
    env = Env(family, worlds=WORLDS)
    env.assign(family.sample("train", 0, WORLDS))
    rng = torch.Generator().manual_seed(0)
    actions = torch.rand(STEPS, WORLDS, env.action_dim, generator=rng) * 2 - 1

    def ours() -> int:
        env.reset(torch.Generator().manual_seed(0))
        for action in actions:
            env.step(action)
        return WORLDS * STEPS

    calls = {"ours": ours}
    cores = len(os.sched_getaffinity(0))
    vectors = {
        f"{mode} x{n}": gymnasium.make_vec(
            "HalfCheetah-v5", num_envs=n, vectorization_mode=mode
        )
        for mode in ("async", "sync")
        for n in (cores, 4 * cores)
    }
    for name, vector in vectors.items():
        calls[name] = _gymnasium_call(vector)
    with simulator_threads():
        speed = rates(calls, seconds)
    for vector in vectors.values():
        vector.close()
    return [
        Row(
            what=f"cheetah-direction over Gymnasium {mode.capitalize()}VectorEnv",
            ratio=speed["ours"] / best,
            least=least,
            figures=f"{speed['ours']:,.0f} / {best:,.0f} env steps/s",
        )
        for mode, least in (("async", 10.0), ("sync", 3.0))
        for best in [max(v for k, v in speed.items() if k.startswith(mode))]
    ]


def _gymnasium_call(vector: gymnasium.vector.VectorEnv):  # noqa: ANN202
    actions = np.random.default_rng(0).uniform(-1, 1, (STEPS, vector.num_envs, 6))
    vector.reset(seed=0)

    def call() -> int:
        for action in actions:
            vector.step(action)
        return STEPS * vector.num_envs

    return call


def _recorded(env: Env, actions: torch.Tensor) -> tuple[np.ndarray, list[np.ndarray]]:
    """The state after reset, and the controls that a random episode held."""
    env.reset(torch.Generator().manual_seed(0))
    batch = env.sim._batch  # pyright: ignore
    state, controls = batch.state.copy(), []
    for action in actions:
        env.step(action)
        controls.append(batch.bind("ctrl").copy())
    return state, controls
