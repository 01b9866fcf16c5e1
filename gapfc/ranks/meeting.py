"""How the processes of a run find each other, before they are a team."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from datetime import timedelta

import torch
import torch.distributed as dist

from gapfc.errors import UserError
from gapfc.system import launched

PATIENCE = timedelta(minutes=30)  # until a rank that says nothing, and is not gone, is given up
CALLED = "called"
LOOK = 0.02  # seconds between two looks for what another does


def place() -> dist.Store:
    """Where torchrun's variables say that the processes meet."""
    store, _, _ = next(dist.rendezvous("env://", timeout=PATIENCE))
    return store


def local_store(size: int) -> dist.TCPStore:
    """Kept by this process, for others on this machine alone."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    return dist.TCPStore(
        "127.0.0.1",
        port,
        size,
        is_master=True,
        wait_for_workers=False,
        master_listen_fd=listening.detach(),
    )


def here(rank: int) -> str:
    """The key by which a rank says that it has come."""
    return f"here/{rank}"


def await_others(store: dist.Store, size: int) -> None:
    """Until all have come; in Python, where Ctrl-C ends it.

    Raises UserError if one has ended before, or does not come.
    """
    due = time.monotonic() + PATIENCE.total_seconds()
    while not store.check([here(rank) for rank in range(1, size)]):
        for rank in range(1, size):
            if said := launched.how_ended(rank):
                raise UserError(f"rank {rank} of {size} {said} before it began")
        if time.monotonic() > due:
            raise UserError(f"of {size} processes not all have come")
        time.sleep(LOOK)


def called(store: dist.Store) -> str:
    """Wait until rank 0 begins: the kind of device, or nothing if it has ended."""
    with contextlib.suppress(RuntimeError):
        while not store.check([CALLED]):
            time.sleep(LOOK)
        return store.get(CALLED).decode()
    return ""


def alone_here(size: int, on_gpus: bool) -> None:
    """Of ranks that all are on this machine: how they meet, and share its cores."""
    names = {name for _, name in socket.if_nameindex()}
    loopback = next((name for name in ("lo", "lo0") if name in names), None)
    if loopback is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
        os.environ.setdefault("NCCL_SOCKET_IFNAME", loopback)
    if not on_gpus:
        torch.set_num_threads(max(1, torch.get_num_threads() // size))


def take_gpu() -> None:
    """Have this process compute on the GPU of its number on this machine, or on the only one.

    A scheduler may show each process its own alone; that two don't have the same one is NCCL's to
    see. Raises UserError if there are fewer GPUs than processes.
    """
    number, there = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if there == 0 or number >= there > 1:
        raise UserError(f"there are more processes than the {there} GPUs of this machine")
    torch.cuda.set_device(min(number, there - 1))
