"""Lower learning rates for earlier stages of a backbone."""

from torch import nn

from gapfc.errors import UserError
from gapfc.validators import number


def layer_factors(backbone: nn.Module, decay: float) -> dict[int, float]:
    """id of each parameter of `backbone` -> factor on the learning rate; empty for a `decay` of 1.

    It is decay^(number of stages after it): 1 for the last stage, whose features are the most
    specific to a task, and smaller the nearer to the input. This is discriminative fine-tuning
    (Howard & Ruder 2018, arXiv:1801.06146, sec. 3.2), per stage as BEiT does it per block (Bao et
    al. 2022, arXiv:2106.08254, "layer-wise learning rate decay"). What lies outside all stages
    counts with the one that stands before it.

    Raises:
        UserError: if `decay` is not above 0 and at most 1, or the backbone names no stages.
    """
    number("backbone.layer_decay", decay, above=0, most=1)
    if decay == 1:
        return {}
    stages: tuple[str, ...] = getattr(backbone, "stages", ())
    if not stages:
        raise UserError(
            f"backbone.layer_decay={decay:g} is per stage, and {type(backbone).__name__} does not "
            "name its stages (an attribute `stages`). Set backbone.layer_decay=1."
        )
    number_of = {
        id(parameter): index
        for index, stage in enumerate(stages)
        for parameter in backbone.get_submodule(stage).parameters()
    }
    factors, current = {}, -1
    for parameter in backbone.parameters():
        current = number_of.get(id(parameter), current)
        factors[id(parameter)] = decay ** (len(stages) - 1 - current)
    return factors
