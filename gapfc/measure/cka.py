"""Debiased linear CKA: how alike two representations of the same images are, rotated or not."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gapfc.measure.complexity import evaluating

# Cells of a map beyond which it is averaged down: photos would not fit into memory otherwise.
LARGEST_SIDE = 32


def gram(x: Tensor) -> Tensor:
    """The U-centred Gram matrix of x [n, p], float64 [n, n]: off the diagonal, rows sum to 0.

    k_ij − r_i/(n−2) − r_j/(n−2) + Σr/((n−1)(n−2)), r the sums of rows without the diagonal
    (Székely & Rizzo 2014, arXiv:1310.2926, definition 2). Of fewer than 4 examples, all zeros.
    """
    n = len(x)
    matrix = x.new_zeros(n, n, dtype=torch.float64)
    if n < 4:
        return matrix
    for columns in x.split(8192, dim=1):
        # Changes nothing but the rounding: a common shift drops out below.
        centred = columns.double()
        centred = centred - centred.mean(0)
        matrix += centred @ centred.T
    sums = matrix.fill_diagonal_(0).sum(0)
    share = (sums - sums.sum() / (2 * n - 2)) / (n - 2)
    return matrix.sub_(share).sub_(share[:, None]).fill_diagonal_(0)


def linear_cka(k: Tensor, m: Tensor) -> float | None:
    """Debiased linear CKA of two representations of the same n examples: k = gram(x), m = gram(y).

    HSIC₁(x, y) / √(HSIC₁(x, x) HSIC₁(y, y)) with the unbiased estimator of HSIC (Song et al. 2012,
    JMLR 13), which is ⟨k, m⟩ / (n(n−3)) of U-centred Gram matrices. Independent representations
    give values around 0, however wide they are, where the biased estimator tends to 1 (Murphy et
    al. 2024, arXiv:2405.01012). At most 1, and below 0 where two are less alike than by chance.
    None where a representation is the same for all examples, or there are fewer than 4 of them.
    """
    norms = float(torch.linalg.matrix_norm(k) * torch.linalg.matrix_norm(m))
    if not norms > 0:
        return None
    if torch.equal(k, m):
        return 1.0
    return min(1.0, float((k * m).sum()) / norms)


class Representations:
    """What the stages of a backbone make of some images, kept to compare with later.

    Holds one n×n matrix per stage, whatever the size of the maps. Maps of more than 32 cells per
    side are averaged down by a whole factor first.
    """

    def __init__(
        self, backbone: nn.Module, stages: Sequence[str], batches: Iterable[Tensor]
    ) -> None:
        """Look at `batches` of images [B, 3, h, w] in evaluation mode, in fp32.

        batches: re-iterable, giving the same images each time. stages: names of submodules.
        """
        self._backbone = backbone
        self._stages = tuple(stages)
        self._batches = batches
        self._before = self._grams()

    def cka(self) -> dict[str, float | None]:
        """CKA of each stage, as the backbone is now, with the stage as it was."""
        now = self._grams()
        return {stage: linear_cka(self._before[stage], now[stage]) for stage in self._stages}

    def _grams(self) -> dict[str, Tensor]:
        found: dict[str, list[Tensor]] = {stage: [] for stage in self._stages}
        hooks = [
            self._backbone.get_submodule(stage).register_forward_hook(_keep(found[stage]))
            for stage in self._stages
        ]
        try:
            with evaluating(self._backbone), torch.inference_mode():
                for images in self._batches:
                    self._backbone(images)
        finally:
            for hook in hooks:
                hook.remove()
        return {stage: gram(torch.cat(parts)) for stage, parts in found.items()}


def _keep(kept: list[Tensor]) -> Callable[[nn.Module, object, Any], None]:
    def hook(module: nn.Module, arguments: object, output: Any) -> None:
        # Some of timm's blocks give their tokens [B, N, C] and, beside them, sizes.
        maps: Tensor = (output[0] if isinstance(output, tuple) else output).float()
        factors = [-(-side // LARGEST_SIDE) for side in maps.shape[2:]]
        if maps.ndim == 4 and max(factors) > 1:
            maps = F.avg_pool2d(maps, factors, ceil_mode=True)
        # A copy: the next stage may work in place.
        kept.append(maps.flatten(1).clone())

    return hook
