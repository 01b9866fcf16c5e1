"""How far training has moved a module's weights from where they began."""

import torch
from torch import Tensor, nn


class Drift:
    """Keeps a module's weights as they are now, to compare with them later.

    Holds copies of all parameters on their device. On resume, construct it before the checkpoint
    is loaded: the model built from the seed is where the run began.
    """

    def __init__(self, module: nn.Module) -> None:
        """Take the copies; module: any, also one without parameters."""
        self._module = module
        self._start = {name: p.detach().clone() for name, p in module.named_parameters()}
        self._length = {name: _square(p) for name, p in self._start.items()}

    def total(self) -> float | None:
        """Relative change ‖w - w₀‖ / ‖w₀‖ over all parameters as one vector.

        None if that is undefined: no parameters, or all of them zero at the start.
        """
        return _relative(self._squares())

    def per_layer(self) -> dict[str, float | None]:
        """The same for every submodule that has parameters of its own, by its dotted name."""
        layers: dict[str, dict[str, Tensor]] = {}
        for name, squares in self._squares().items():
            layers.setdefault(name.rpartition(".")[0], {})[name] = squares
        return {layer: _relative(squares) for layer, squares in layers.items()}

    @torch.no_grad()
    def _squares(self) -> dict[str, Tensor]:
        return {
            name: torch.stack([_square(p - self._start[name]), self._length[name]])
            for name, p in self._module.named_parameters()
        }


def _square(values: Tensor) -> Tensor:
    """Of the length; summed in float64, without a copy in it."""
    return torch.linalg.vector_norm(values, dtype=torch.float64).square()


def _relative(squares: dict[str, Tensor]) -> float | None:
    if not squares:
        return None
    change, start = torch.stack(list(squares.values())).sum(0).sqrt().tolist()
    return change / start if start > 0 else None
