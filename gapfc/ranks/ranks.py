"""What the ranks of a run share, and what they tell each other."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Ranks:
    """This process among those of its run; alone unless told otherwise.

    Whatever is exchanged, all ranks have to take part in, in the same order; alone it costs
    nothing. Small things go over the processors (gloo), also where gradients go over GPUs (NCCL).

    Attributes:
        rank: of this process, from 0. Rank 0 writes and talks.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    def share(self, count: int) -> Tensor:
        """Places in a batch of `count` images of those that are this rank's: int64, ascending.

        All ranks have the same number of them, or one pair more. The first and the last image of a
        batch stay together, and so on to its middle: they are the pairs that `Mixing` mixes.
        """
        # From the middle on, which may be one image: the first ranks have one pair more.
        pairs = torch.arange((count + 1) // 2).flip(0).tensor_split(self.size)[self.rank]
        return torch.cat([pairs, count - 1 - pairs]).unique()

    def weight(self, count: int) -> float:
        """What a mean over this rank's share of `count` images counts for in the mean of means."""
        return len(self.share(count)) * self.size / count

    @property
    def turns(self) -> slice:
        """Which of a sequence of things to do are this rank's: each in its turn."""
        return slice(self.rank, None, self.size)

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all ranks. values: on the CPU, of one shape everywhere."""
        if self.size > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def most(self, value: int) -> int:
        """The largest of all ranks' values."""
        if self.size == 1:
            return value
        found = torch.tensor(value)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return int(found)

    def meet(self) -> None:
        """Wait for all ranks. Raises RuntimeError if one is gone, also where a GPU would wait."""
        self.most(0)

    def interleaved(self, parts: Sequence[Tensor], width: int) -> list[Tensor]:
        """The parts of all ranks in turn: rank 0's first, rank 1's first, ..., rank 0's second.

        parts: numbers [n, width] each; of several ranks they are float64 on the CPU afterwards.
        """
        if self.size == 1:
            return list(parts)
        none = torch.empty(0, width, dtype=torch.float64)
        own = torch.cat([none, *(part.double().cpu() for part in parts)])
        lengths = self._gathered(torch.tensor([len(part) for part in parts], dtype=torch.int64))
        of_ranks = [
            list(rows.split(length.tolist()))
            for rows, length in zip(self._gathered(own), lengths, strict=True)
        ]
        rounds = max(map(len, of_ranks))
        return [found[turn] for turn in range(rounds) for found in of_ranks if turn < len(found)]

    def _gathered(self, values: Tensor) -> list[Tensor]:
        """Each rank's `values` [n, ...], which may differ in n."""
        counts = [torch.empty(1, dtype=torch.int64) for _ in range(self.size)]
        dist.all_gather(counts, torch.tensor([len(values)]))
        most = int(max(counts))
        padded = values.new_zeros(most, *values.shape[1:])
        padded[: len(values)] = values
        found = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(found, padded)
        return [each[: int(count)] for each, count in zip(found, counts, strict=True)]

    def told(self, state: dict[str, Any] | None) -> dict[str, Any]:
        """What rank 0 has as `state`: tensors on the CPU, numbers, strings and containers."""
        if self.size == 1:
            return state or {}
        data = torch.empty(0, dtype=torch.uint8)
        if self.rank == 0:
            file = io.BytesIO()
            torch.save(state, file)
            data = torch.frombuffer(bytearray(file.getbuffer()), dtype=torch.uint8)
        length = torch.tensor(len(data))
        dist.broadcast(length, 0)
        if self.rank:
            data = torch.empty(int(length), dtype=torch.uint8)
        dist.broadcast(data, 0)
        if self.rank == 0:
            return state or {}
        file = io.BytesIO(data.numpy().tobytes())
        found: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True) or {}
        return found

    def agree(self, *modules: nn.Module) -> None:
        """Take over rank 0's buffers: each rank has normalised batches by itself."""
        if self.size == 1:
            return
        for buffer in {id(b): b for module in modules for b in module.buffers()}.values():
            dist.broadcast(buffer, 0)


ALONE = Ranks()
