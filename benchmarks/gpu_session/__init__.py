r"""Measure all that needs a GPU, in one command that ends in time.

    python -m benchmarks.gpu_session --out FOLDER [--seconds 480] [--into DOCUMENT]

`--device cpu --seconds 1800` rehearses it: the same steps in tiny sizes, physics on
Warp's CPU device. Every step's figures are on the disk (session.json, session.md)
before the next begins. A step that fails is recorded with the end of its log, and the
next one begins; what has no time left is skipped or ended, training with a whole
checkpoint. A second session in the same folder does what the first did not, and goes on
with its training.

The budget of one H200 with 16 CPUs. The seconds taken are those of the session in
docs/performance.md, with the kernels compiled ahead; strike was measured then in the
place of insert.

| step | took [s] | limit [s] | why it stands here |
|---|---:|---:|---|
| machine | 4 | 60 | without a device all else is pointless |
| kernels | 12 | 200 | all families at once, a process each: as long as the slowest |
| parity | 32 | 90 | no figure means anything if the physics is wrong |
| bench cheetah-direction | 41 | 75 | 512 worlds first; kept after each size |
| bench push | 75 | 75 | |
| bench insert | | 75 | |
| timeline | 41 | 60 | 20 s are kept free for it |
| train cheetah-direction | 61 | 100 | ends at 260; 45 s are kept free for it |
| train ProMP | 222 | 200 | 45 million env steps, for which returns are published |
| train reach-rotated | 66 | the rest | the cheapest first |
| train insert ... | 121 | the rest | |
| reserve | | 20 | to end what still runs: SIGINT, SIGTERM, SIGKILL |

Compiling the kernels there takes about two minutes more (96 s of one busy CPU for
cheetah-direction, 221 for strike); WARP_CACHE_PATH is taken along where they have been
compiled ahead. That needs no GPU, but minutes a family:

    export WARP_CACHE_PATH=kernels
    python -m benchmarks.gpu_session.kernels sm_90 push /dev/null

On a machine without a network, Pliant's dependencies that it lacks are carried there
as wheels, unpacked into one folder. If they are too large for one transfer, in two
parts and two calls, each with a script that puts its part in place:

    bash .gpu/1/receive
    bash .gpu/2/receive && PYTHONPATH=/tmp/site:. python3 -m benchmarks.gpu_session \
        --out /tmp/session --revision REVISION --seconds 480; \
        tar -C /tmp -czf "$OUT/session.tgz" session

What comes back is summarised where the documents are:

    python -m benchmarks.gpu_session --out session --as-is --into docs/performance.md

Besides torch, numpy and pytest it needs mujoco, mujoco-warp, warp-lang, gymnasium, tyro
and what these need, and safetensors, jaxtyping, rich and tensorboard.
"""
