"""The processes of a training, one or several: what they tell each other, and who speaks.

`torchrun` starts several. They take the same way: the first one decides what is decided once, tells
the others, and is the only one that writes and speaks; each works on its share of every batch.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from hsi_ssl.claims import claimed
from hsi_ssl.errors import DeviceError, HsiSslError, ProcessError, SettingsError, ToldElsewhereError
from hsi_ssl.inference.device import choose_device
from hsi_ssl.stopping import INTERRUPTS
from hsi_ssl.training.heartbeat import EVERY, Heartbeat, key
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store, Work

T = TypeVar("T")

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Of the environment, by which `torchrun` tells a process of the others."""
COMING = timedelta(seconds=120)
"""Until all processes have to be there."""
STEP = timedelta(minutes=10)
"""That one process may be behind another in a step; who is gone is known sooner."""
REMEMBERED = 64
"""Words of one name that are kept for those who have not heard them yet."""
SHORTEST, LONGEST = 0.0005, 0.05
"""Seconds between looks for a word of another process."""
ANSWER, AT_ONCE = 5.0, 0.7
"""Seconds in which the first process answers who gives up, or is stopped."""


class Processes:
    """The one process of a training."""

    rank, size = 0, 1

    @property
    def first(self) -> bool:
        """Whether this one decides, writes and speaks."""
        return self.rank == 0

    def told(self, name: str, find: Callable[[], T]) -> T:
        """What `find` gives in the first process; as JSON, where others hear of it.

        Each name is told as often in one process as in another, in any order of names.
        """
        del name
        return find()

    def shared(self, name: str, tensors: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Tensors of the first process, whatever their order in memory; on the CPU in others."""
        del name
        return dict(tensors())

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put in the place of each tensor its mean over processes."""

    def average_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """The same of gradients, of those parameters that have any in one process or more."""

    def agree(self, facts: Mapping[str, str]) -> None:
        """Refuse processes that differ from the first in facts such as a version or a checksum.

        Raises
        ------
        ProcessError
            One differs.
        """

    def device(self, name: str) -> torch.device:
        """The device of that name, as `choose_device`; of several GPUs each process its own."""
        return choose_device(name)

    def claimed(self, path: Path) -> contextlib.AbstractContextManager[None]:
        """`claims.claimed`, by the first process for all."""
        return claimed(path)

    def watcher(self, watcher: Watcher) -> Watcher:
        """Who hears what this process has to say."""
        return watcher


ALONE = Processes()


class Several(Processes):
    """One of several processes of a training."""

    def __init__(self, store: Store, rank: int, size: int, home: int) -> None:
        """`home`: number among the processes of this machine."""
        self.rank, self.size, self.home = rank, size, home
        self._store, self._counts = store, dict[str, int]()
        own: Any = store
        self.heart = Heartbeat(own.clone(), rank, size)

    def told(self, name: str, find: Callable[[], T]) -> T:
        """What `find` gives in the first process, told the others as JSON."""
        number = self._counts[name] = self._counts.get(name, -1) + 1
        place = f"told/{name}/{number}"
        if self.first:
            found = find()
            self._store.set(place, json.dumps(found))
            if number >= REMEMBERED:
                self._store.delete_key(f"told/{name}/{number - REMEMBERED}")
            return found
        return json.loads(self._heard(place))  # type: ignore[no-any-return]

    def shared(self, name: str, tensors: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Tensors of the first process, one after another in the order of their elements.

        What `torch.distributed` sends is memory as it lies: columns of a matrix for its rows.
        """
        import torch.distributed as dist

        mine = dict(tensors()) if self.first else {}
        sent = {k: t.detach().cpu().contiguous() for k, t in mine.items()}
        facts: list[tuple[str, str, list[int]]] = [
            (k, str(t.dtype).removeprefix("torch."), list(t.shape)) for k, t in sent.items()
        ]
        facts = self.told(f"{name} as tensors", lambda: facts)
        for place, dtype, shape in facts:
            if not self.first:
                sent[place] = torch.empty(shape, dtype=getattr(torch, dtype))
            of_bytes = sent[place].reshape(-1).view(torch.uint8)
            if len(of_bytes):
                self._wait(dist.broadcast(of_bytes, 0, async_op=True))
        return mine if self.first else sent

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put in the place of each tensor its mean over processes."""
        import torch.distributed as dist

        flat = torch.cat([t.reshape(-1) for t in tensors])
        self._wait(dist.all_reduce(flat, async_op=True))
        flat /= self.size
        for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.view(tensor.shape))

    @torch.no_grad()
    def average_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """One message a step: all gradients in a row, and which there are."""
        there = torch.tensor([float(p.grad is not None) for p in parameters])
        found = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        there = there.to(found[0])
        self.average([there, *found])
        for parameter, gradient, any_has in zip(parameters, found, there.tolist(), strict=True):
            parameter.grad = gradient if any_has else None

    def agree(self, facts: Mapping[str, str]) -> None:
        """Let the first process compare what each one sees."""
        self._store.set(f"sees/{self.rank}", json.dumps([socket.gethostname(), dict(facts)]))
        self.told("agreed", lambda: self._compare(facts))

    def _compare(self, facts: Mapping[str, str]) -> None:
        for rank in range(1, self.size):
            host, theirs = json.loads(self._heard(f"sees/{rank}"))
            apart = [
                f"{name} ({theirs.get(name)}, process 0 {facts.get(name)})"
                for name in sorted(facts.keys() | theirs.keys())
                if facts.get(name) != theirs.get(name)
            ]
            if apart:
                raise ProcessError(
                    f"process {rank} of {self.size}, on {host}, has another "
                    f"{' and another '.join(apart)}: all must have the same; make them alike and "
                    "start again"
                )

    def device(self, name: str) -> torch.device:
        """On GPUs, unless one is named by its number, that of the process's number here.

        Raises
        ------
        DeviceError
            There are fewer GPUs than processes, or one is named for all; it is of a kind of which
            processes do not share a training.
        """
        device = choose_device(name)
        if device.type == "cpu":
            return device
        if device.type != "cuda":
            raise DeviceError(
                f"several processes train on processors or CUDA GPUs, not on {name}: start one, "
                "without torchrun, or take --device cpu"
            )
        if device.index is not None:
            raise DeviceError(
                f"{name} is one GPU for {self.size} processes: leave its number out, and each "
                "takes its own"
            )
        if self.home >= torch.cuda.device_count():
            raise DeviceError(
                f"process {self.rank} finds {torch.cuda.device_count()} GPUs, of which it is "
                f"number {self.home}: start as many processes a machine as it has GPUs, or take "
                "--device cpu"
            )
        torch.cuda.set_device(self.home)
        return torch.device("cuda", self.home)

    def claimed(self, path: Path) -> contextlib.AbstractContextManager[None]:
        """By the first process alone."""
        return claimed(path) if self.first else contextlib.nullcontext()

    def watcher(self, watcher: Watcher) -> Watcher:
        """The first one's; others keep silent."""
        return watcher if self.first else SILENT

    def _heard(self, place: str) -> bytes:
        """What another process puts to a place of the store, once it does."""
        pause = SHORTEST
        try:
            while not self._store.check([place]):
                self._refuse_lost()
                time.sleep(pause)
                pause = min(2 * pause, LONGEST)
            return self._store.get(place)
        except ProcessError:
            raise
        except RuntimeError as error:
            self._refuse_lost()
            raise self._gone("cannot be reached any more") from error

    def _wait(self, work: Work) -> None:
        """Wait for a message, but not for one that has died."""
        done = threading.Event()
        work.get_future().add_done_callback(lambda _: done.set())
        while not done.wait(EVERY):
            self._refuse_lost()
        try:
            work.wait()
        except RuntimeError as error:
            self._refuse_lost()
            raise self._gone("has ended") from error

    def _refuse_lost(self) -> None:
        if self.heart.lost is not None:
            rank, why, _ = self.heart.lost
            raise ProcessError(f"process {rank} of {self.size} {why}")

    def _gone(self, how: str) -> ProcessError:
        who = "the other of 2 processes" if self.size == 2 else f"one of {self.size} processes"  # noqa: PLR2004
        return ProcessError(f"{who} {how}")

    def leave(self) -> None:
        """End well; the first process, which may keep the store, after the others."""
        self.outlast(ANSWER)
        self.heart.tell(left=True)

    def outlast(self, seconds: float) -> None:
        """Of the first process, which may keep the store: stay until the others have all ended."""
        until = time.monotonic() + seconds
        for rank in range(1, self.size if self.first else 0):
            while "beats" in json.loads(self._store.get(key(rank))) and time.monotonic() < until:
                time.sleep(EVERY / 50)

    def answered(self, seconds: float) -> bool:
        """Whether the first process, within some seconds, says by itself why it ends."""
        until = time.monotonic() + seconds
        with contextlib.suppress(RuntimeError):
            while time.monotonic() < until:
                if "beats" not in json.loads(self._store.get(key(0))):
                    return True
                time.sleep(EVERY / 20)
        return False


@contextlib.contextmanager
def joined(watcher: Watcher = SILENT) -> Iterator[Processes]:
    """The processes that `torchrun` has started, by the environment; without it this one alone.

    Raises
    ------
    SettingsError
        The environment contradicts itself.
    ProcessError
        The others have not come in time.
    ToldElsewhereError
        This one is not the first, which has said why all end.
    """
    rank, size = place_in_environment()
    if size == 1:
        yield ALONE
        return
    import torch.distributed as dist

    processes = _met(rank, size)
    try:
        yield processes
    except BaseException as error:
        if isinstance(error, INTERRUPTS):
            with contextlib.suppress(RuntimeError):
                processes.heart.tell(failed="it was told to")
            if not processes.first and not processes.answered(AT_ONCE):
                watcher.if_stopped(
                    "process 0 does not answer any more; what it has saved goes on with --resume"
                )
            raise
        lost = processes.heart.lost
        spoken = lost is not None and lost.spoke and lost.rank == 0
        if isinstance(error, ProcessError) and not processes.first and not spoken:
            watcher.if_stopped(str(error))
        own = str(error) or type(error).__name__
        with contextlib.suppress(RuntimeError):
            processes.heart.tell(failed=own)
            processes.outlast(2 * EVERY)
        if not processes.first and isinstance(error, HsiSslError) and processes.answered(ANSWER):
            time.sleep(EVERY)  # until it has been said: who started all ends all when one has ended
            raise ToldElsewhereError(own) from error
        raise
    with contextlib.suppress(RuntimeError):
        processes.leave()
    dist.destroy_process_group()


def place_in_environment() -> tuple[int, int]:
    """RANK and WORLD_SIZE as `torchrun` sets them; (0, 1) without them.

    Raises
    ------
    SettingsError
        They contradict each other, or some are missing.
    """
    found = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    if "RANK" not in found and "WORLD_SIZE" not in found:
        return 0, 1
    try:
        rank, size = int(found["RANK"]), int(found["WORLD_SIZE"])
        int(found["MASTER_PORT"]) if size > 1 else 0
        if not 0 <= rank < size or (size > 1 and "MASTER_ADDR" not in found):
            raise ValueError
    except (KeyError, ValueError):
        said = ", ".join(f"{name}={value}" for name, value in found.items())
        raise SettingsError(
            f"the environment says {said}, which is no place among processes: start them with "
            f"torchrun, which sets {', '.join(VARIABLES)}, or unset these"
        ) from None
    return rank, size


def _met(rank: int, size: int) -> Several:
    """Wait until all processes are there, and connect them."""
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    here = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    missing = list(range(size))
    try:
        store, _, _ = next(rendezvous("env://", rank, size, timeout=COMING))
        processes = Several(store, rank, size, int(os.environ.get("LOCAL_RANK", rank)))
        until = time.monotonic() + COMING.total_seconds()
        while missing := [r for r in missing if not store.check([key(r)])]:
            if time.monotonic() > until:
                raise RuntimeError("timed out")
            time.sleep(EVERY / 10)
        gpus = torch.cuda.is_available() and dist.is_nccl_available()
        backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=STEP)
    except RuntimeError as error:
        came = "" if len(missing) == size else f" ({len(missing)} of {size} have not come)"
        raise ProcessError(
            f"the {size} processes did not meet at {here}{came}: start as many as WORLD_SIZE says, "
            "all with the same MASTER_ADDR and MASTER_PORT (torchrun does)"
        ) from error
    processes.heart.start()
    return processes
