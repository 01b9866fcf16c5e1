"""Attention pooling with learned queries (Lee et al. 2019, Set Transformer, arXiv:1810.00825)."""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from gapfc.heads.pooled import PooledHead
from gapfc.validators import whole


class Attn(PooledHead):
    """For each query q, the mean over H×W weighted by softmax(q·x/√C); concatenated -> Linear(K).

    What multi-head attention with one learned query per head comes to in front of a linear layer:
    the key's projection is part of the query, the value's and the output's part of the Linear.
    As in CLIP's AttentionPool2d (Radford et al. 2021, arXiv:2103.00020) and CaiT's class
    attention (Touvron et al. 2021, arXiv:2103.17239), but positions are not encoded: the
    order of the cells does not matter, and any size of map is taken.

    Queries start at zero, where each gives the plain mean: `GAP`, as often as there are queries.

    Args:
        queries: their number; the pooled vector is C·queries wide.
    """

    def __init__(
        self,
        feature_shape: tuple[int, int, int],
        num_classes: int,
        queries: int = 4,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        whole("head.queries", queries, least=1)
        super().__init__(feature_shape, num_classes, hidden, dropout, bias, cells=queries)
        self.has_hidden = bool(hidden)
        self.queries = nn.Parameter(torch.zeros(queries, self.channels))

    def weights(self, features: Tensor) -> Tensor:
        """Features `[B, C, H, W]` to how much each query looks where, `[B, queries, H·W]`."""
        cells = features.flatten(2)
        scores = (self.queries * self.channels**-0.5) @ cells
        # float32 even under autocast: bf16 tells weights apart by 0.4%.
        return scores.float().softmax(2).to(cells.dtype)

    def pool(self, features: Tensor) -> Tensor:
        """Features `[B, C, H, W]` to weighted means `[B, queries·C]`, query by query."""
        return (self.weights(features) @ features.flatten(2).mT).flatten(1)

    @property
    def maps(self) -> Callable[[Tensor], Tensor]:
        """From features `[B, C, H, W]` to what each position adds to each class, `[B, K, H, W]`.

        Their means are the logits, without dropout. Only where nothing but a Linear follows the
        pool: AttributeError with hidden layers.
        """
        if self.has_hidden:
            raise AttributeError("a head with hidden layers is no sum over positions")
        return self._maps

    def _maps(self, features: Tensor) -> Tensor:
        linear = cast(nn.Linear, self.classifier[-1])
        cells = features.flatten(2)
        per_query = linear.weight.unflatten(1, (len(self.queries), self.channels))
        votes = torch.einsum("kqc,bqn,bcn->bkn", per_query, self.weights(features), cells)
        votes = votes * cells.shape[2]
        if linear.bias is not None:
            votes = votes + linear.bias[:, None]
        return votes.unflatten(2, features.shape[2:])
