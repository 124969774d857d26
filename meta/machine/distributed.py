"""Several processes that train as one: each has its share of the tasks.

Started by torchrun, which names the processes through the environment. With one process
every function here does nothing.
"""

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch import distributed as dist


class Share(NamedTuple):
    """Which of the processes this is, and how many there are."""

    rank: int
    size: int


def share() -> Share:
    """Return this process's share; outside `joined`, that is everything."""
    if not dist.is_initialized():
        return Share(0, 1)
    return Share(dist.get_rank(), dist.get_world_size())


@contextmanager
def joined(device: str) -> Generator[None]:
    """Take part, within, in the job that torchrun started, if it did.

    On CUDA each process takes the GPU of its local rank; NCCL connects GPUs, gloo CPUs.

    Raises:
        OSError: if another process of the job is lost.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    cuda = device.startswith("cuda")
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield
        dist.barrier()  # no process leaves while another still talks
    except RuntimeError as error:
        # gloo has no type of its own for a connection that broke
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise OSError(
            "another process of this job was lost; the last checkpoint is intact, "
            f"continue with --resume ({error})"
        ) from error
    finally:
        dist.destroy_process_group()


def local_threads() -> int:
    """Simulator threads for this process; 0, one per CPU, if it is alone."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if share().size > 1 else 1
    return 0 if local == 1 else max(1, len(os.sched_getaffinity(0)) // local)


def summed(x: Tensor) -> Tensor:
    """The sum over the processes."""
    if share().size > 1:
        x = x.clone()
        dist.all_reduce(x)
    return x


def averaged(x: Tensor) -> Tensor:
    """The mean over the processes."""
    return summed(x) / share().size


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace every gradient by its mean over the processes, in one message."""
    if share().size == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = averaged(torch.cat([g.flatten() for g in gradients]))
    for gradient, part in zip(
        gradients, flat.split([g.numel() for g in gradients]), strict=True
    ):
        gradient.copy_(part.view_as(gradient))


def any_process(flag: bool) -> bool:
    """Return whether a flag is set in any process."""
    if share().size == 1:
        return flag
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    return bool(summed(torch.tensor(float(flag), device=device)) > 0)
