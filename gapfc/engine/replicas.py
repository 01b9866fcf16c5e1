"""A network trained by several processes, each on its part of every batch."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from gapfc.errors import UserError
from gapfc.ranks.ranks import Ranks


class Replicas:
    """Makes each rank's gradients the mean over all ranks, as backward computes them.

    That is torch's DistributedDataParallel (Li et al. 2020, arXiv:2006.15704); alone it is nothing.

    Args:
        model: this rank's, on its device. Weights and buffers become those of rank 0.
        ranks: the processes.

    Attributes:
        network: what to call in its place.
    """

    network: nn.Module

    def __init__(self, model: nn.Module, ranks: Ranks) -> None:
        self.network = model
        self._parallel: DistributedDataParallel | None = None
        if ranks.size > 1:
            device = next(model.parameters()).device
            on = [torch.cuda.current_device()] if device.type == "cuda" else None
            self._parallel = DistributedDataParallel(model, on, gradient_as_bucket_view=True)
            self.network = self._parallel

    @contextmanager
    def exchanging(self, now: bool) -> Iterator[None]:
        """A context for forward and backward of a batch; not `now`: gradients stay where they are.

        Of accumulated batches only the last needs to exchange their sum. Raises UserError for
        parameters without gradients, for which it would wait: torch tells in the step after.
        """
        if self._parallel is None:
            yield
            return
        try:
            with nullcontext() if now else self._parallel.no_sync():
                yield
        except RuntimeError as error:
            if "Expected to have finished reduction" not in str(error):
                raise
            raise UserError(
                "backbone or head has parameters that no loss reaches: its steps cannot be shared. "
                "Take trainer.devices=1"
            ) from error


def synchronise_norms(model: nn.Module, ranks: Ranks) -> None:
    """Have batch norms see whole batches, not each rank's part of them; torch has that for CUDA.

    They are replaced in `model`, which is in training, but for frozen ones, which are not; the
    parameters and the names of the state stay what they are.
    """
    if ranks.size == 1 or next(model.parameters()).device.type != "cuda":
        return
    convert = nn.SyncBatchNorm.convert_sync_batchnorm
    if "timm" in sys.modules:  # whose norms may hold an activation, which torch's would drop
        from timm.layers import convert_sync_batchnorm as convert
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm) and child.training:
                setattr(parent, name, convert(child))
