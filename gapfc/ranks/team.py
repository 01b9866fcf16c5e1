"""How the ranks of a run come together: by torchrun or Slurm, or as processes started here.

Rank 0 is the command that was typed. The others wait for its orders, which are JSON, and carry out
their part of a run: see `gapfc.experiment.take_part`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from gapfc.errors import UserError
from gapfc.ranks import meeting
from gapfc.ranks.ranks import Ranks
from gapfc.system import launched

LAST_WORDS = 5.0  # seconds in which a rank that failed can say why
# A file of torch's sources before it, advice for its developers behind it.
_GLOO = re.compile(r"^\[[^]]*/gloo/[^]]*\] (.*?\[[^]]*\]:\d+).*", re.DOTALL)


@dataclass
class Team:
    """The processes of one run, as this one sees them.

    Orders go by the standard input of processes that rank 0 has started, so that nobody else can
    give any; by the store where torchrun has started them.

    Attributes:
        ranks: this one among them.
        on_gpus: whether each has a GPU.
        store: where they meet, and leave their last words.
        threads: that this process computed with before.
        images: of a rank that is not the first: files of splits that rank 0 has put there.
    """

    ranks: Ranks
    on_gpus: bool
    store: dist.Store
    threads: int
    images: dict[str, str] = field(default_factory=dict)
    _orders: int = 0

    def order(self, **what: Any) -> None:
        """Have the other ranks do something; nothing: end."""
        if launched.started():
            launched.tell(json.dumps(what))
        else:
            self.store.set(f"order/{self._orders}", json.dumps(what))
            self._orders += 1

    def orders(self) -> Iterator[dict[str, Any]]:
        """What rank 0 has the others do, one after another, until it is gone."""
        while what := json.loads(self._next() or "{}"):
            yield what

    def _next(self) -> str:
        if launched.PORT in os.environ:
            return sys.stdin.readline()
        key = f"order/{self._orders}"
        self._orders += 1
        with contextlib.suppress(RuntimeError):
            while not self.store.check([key]):
                time.sleep(meeting.LOOK)
            return self.store.get(key).decode()
        return ""

    @property
    def is_first_here(self) -> bool:
        """Whether this rank is the first of its machine."""
        return os.environ.get("LOCAL_RANK", "0") == "0"

    def tell_here(self, what: Mapping[str, str]) -> None:
        """Leave word for the other ranks on this machine, about the last order."""
        self.store.set(self._key_here(), json.dumps(dict(what)))

    def told_here(self) -> dict[str, str]:
        """Wait for what the first rank of this machine has to tell of the last order.

        Raises RuntimeError if the store is gone, and with it rank 0.
        """
        while not self.store.check([self._key_here()]):
            time.sleep(meeting.LOOK)
        found: dict[str, str] = json.loads(self.store.get(self._key_here()))
        return found

    def _key_here(self) -> str:
        return f"told/{socket.gethostname()}/{self._orders}"

    def say_last(self, why: str) -> None:
        """Leave word why this rank has failed."""
        with contextlib.suppress(RuntimeError):
            self.store.set(f"failed/{self.ranks.rank}", why)

    def fault(self, error: BaseException) -> str | None:
        """Why another rank has failed, if that may be what `error` comes from."""
        if not is_loss(error):
            return None
        due = time.monotonic() + LAST_WORDS
        while time.monotonic() < due:
            if said := self.known():
                return said
            time.sleep(meeting.LOOK)
        return (
            "another rank was ended from outside (out of memory? its machine lost?), and left no "
            f"word: {_told_by_torch(error)}"
        )

    def known(self) -> str | None:
        """Which other rank has failed and why, if that is known by now."""
        others = [rank for rank in range(self.ranks.size) if rank != self.ranks.rank]
        # Whoever has words knows more than whoever was killed.
        for find in (self._last_words, launched.how_ended):
            for rank in others:
                if said := find(rank):
                    return f"rank {rank} of {self.ranks.size} {said}"
        return None

    def _last_words(self, rank: int) -> str | None:
        with contextlib.suppress(RuntimeError):
            if self.store.check([f"failed/{rank}"]):
                return "failed: " + self.store.get(f"failed/{rank}").decode()
        return None

    def close(self, wait: bool = True, lost: bool = False) -> None:
        """Let the other ranks go; wait: until they have; lost: one of them may be gone."""
        if self.ranks.rank == 0:
            with contextlib.suppress(RuntimeError):
                self.order()
        if not (lost and self.on_gpus):  # NCCL would wait for it
            with contextlib.suppress(RuntimeError, ValueError):
                dist.destroy_process_group()
        launched.end(wait)
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)


_team: Team | None = None
_stuck = False  # whether its processes were lost on GPUs: torch can't make a group beside theirs
_left = False  # whether a team has ended: processes that torchrun has started come only once


def current() -> Team | None:
    """The team that this process is in, if it is in one."""
    return _team


def lead(size: int, on_gpus: bool) -> None:
    """Be rank 0 of `size` processes, which torchrun or `launched.start` has started.

    A team stays for the runs after the first, until `leave`. Raises UserError if one of them has
    ended before it came.
    """
    global _team
    together = launched.launched()
    size = together or size
    if _team is not None and (_team.ranks.size, _team.on_gpus) == (size, on_gpus):
        return
    if size == 1:
        dismiss()
        return
    if _team is not None and not together:
        dismiss()
        launched.start(size)
    if _stuck or (together and (_left or _team is not None)):
        raise UserError(
            "The other processes have ended after a failure, or compute elsewhere: begin all anew."
        )
    threads = torch.get_num_threads()
    if together:
        store = meeting.place()
    else:
        store = meeting.local_store(size)
        launched.tell(str(store.port))
        meeting.alone_here(size, on_gpus)
    own = dist.PrefixStore("gapfc", store)
    if on_gpus:
        meeting.take_gpu()
    own.set(meeting.CALLED, "cuda" if on_gpus else "cpu")
    meeting.await_others(own, size)
    _team = _joined(store, 0, size, on_gpus, threads)


def leave() -> None:
    """At the end of rank 0: let the others go, also those that it has never called."""
    if _team is not None or _left or not launched.launched():
        dismiss(wait=False)
        return
    with contextlib.suppress(RuntimeError):
        store = dist.PrefixStore("gapfc", meeting.place())
        store.set(meeting.CALLED, "")
        left = [meeting.here(rank) for rank in range(1, launched.launched())]
        store.wait(left, timedelta(seconds=LAST_WORDS))  # the store may be this process's own


def follow() -> Team | None:
    """The team of a process that is not rank 0; None if that one has ended without calling."""
    global _team
    threads = torch.get_num_threads()
    here = launched.PORT in os.environ
    if here:
        port = sys.stdin.readline().strip()
        if not port:
            return None
        os.environ["MASTER_PORT"] = port
    store = meeting.place()
    rank, size = int(os.environ["RANK"]), launched.launched()
    own = dist.PrefixStore("gapfc", store)
    called = meeting.called(own)
    on_gpus = called == "cuda"
    if on_gpus:
        meeting.take_gpu()  # before rank 0 counts on this one
    with contextlib.suppress(RuntimeError):
        own.set(meeting.here(rank), "")
    if not called:
        return None
    if here:
        meeting.alone_here(size, on_gpus)
    _team = _joined(store, rank, size, on_gpus, threads)
    return _team


def dismiss(wait: bool = True, lost: bool = False) -> None:
    """End the team: nobody has to wait for this process any more.

    wait: until the others have ended. lost: after a failure, so that one may be gone already.
    """
    global _team, _left, _stuck
    if _team is not None:
        team, _team, _left = _team, None, True
        _stuck = lost and team.on_gpus
        team.close(wait, lost)


launched.leaving.append(dismiss)


def is_loss(error: BaseException) -> bool:
    """Whether `error` comes from a collective operation that another rank has not completed."""
    said = str(error).lower()
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(word in said for word in ("gloo", "nccl"))
    )


def check_share(batch_size: int, ranks: Ranks) -> None:
    """UserError if a batch is too small for so many ranks."""
    least = 2 * ranks.size
    if ranks.size > 1 and batch_size < least:
        raise UserError(
            f"trainer.batch_size={batch_size} on {ranks.size} devices: each needs 2 images of a "
            f"batch, so {least} or more"
        )


def _told_by_torch(error: BaseException) -> str:
    """Its first line, of gloo's what it met and where; and the last error that NCCL names below."""
    text = _GLOO.sub(r"\1", str(error), count=1)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = next((n for n, line in enumerate(lines) if line.startswith("Last error")), None)
    return " ".join([*lines[:1], *(lines[last : last + 2] if last else [])])[:400]


def _joined(store: dist.Store, rank: int, size: int, on_gpus: bool, threads: int) -> Team:
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if on_gpus else "gloo",
        store=dist.PrefixStore("torch", store),
        rank=rank,
        world_size=size,
        timeout=meeting.PATIENCE,
    )
    # DistributedDataParallel will ask for it, over a second: now, at the same time in all ranks.
    importlib.import_module("torch._dynamo")
    return Team(Ranks(rank, size), on_gpus, dist.PrefixStore("gapfc", store), threads)
