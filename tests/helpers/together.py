"""Several processes that take the same way, as `torchrun` starts them, and what each of them gives.

They are forks: a second is over before a new interpreter has read torch.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import socket
from collections.abc import Callable
from typing import Any

import torch

from hsi_ssl.training.processes import Processes, joined

SECONDS = 60


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def environment(rank: int, size: int, port: int) -> dict[str, str]:
    """What `torchrun` tells a process."""
    named = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_PORT": port}
    return {"MASTER_ADDR": "127.0.0.1", **{name: str(value) for name, value in named.items()}}


def together(
    does: Callable[[Processes], Any], size: int = 2, silent: tuple[int, ...] = ()
) -> list[Any]:
    """What `does` gives in each process, or the exception it raises; None of one that died.

    `silent`: those that are not waited for.
    """
    context, port = multiprocessing.get_context("fork"), free_port()
    pipes, processes = [], []
    for rank in range(size):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(does, rank, size, port, theirs))
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    found: list[Any] = []
    try:
        for rank, pipe in enumerate(pipes):
            if rank in silent:
                found.append(None)
                continue
            if not pipe.poll(SECONDS):
                raise TimeoutError(f"process {rank} of {size} says nothing")
            try:
                found.append(pickle.loads(pipe.recv_bytes()))
            except EOFError:
                found.append(None)
    finally:
        for process in processes:
            process.kill()
            process.join()
    return found


def _run(does: Callable[[Processes], Any], rank: int, size: int, port: int, told: Any) -> None:
    os.environ.update(environment(rank, size, port))
    torch.set_num_threads(1)
    found: Any
    try:
        with joined() as processes:
            found = does(processes)
    except Exception as error:
        found = error
    told.send_bytes(pickle.dumps(found))  # tensors too, which `send` would only lend
    told.close()
    os._exit(0)  # what waits for one that is gone would hold this one up
