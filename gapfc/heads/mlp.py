"""The classifier half of a head: a pooled vector to logits."""

from collections.abc import Sequence

from torch import nn

from gapfc.validators import is_count, list_of, number


def mlp(
    width: int,
    hidden: Sequence[int],
    num_classes: int,
    dropout: float = 0.0,
    bias: bool = True,
) -> nn.Sequential:
    """Build `[B, width]` -> `[B, num_classes]`.

    Each entry n of `hidden` adds Linear(n), ReLU and Dropout; a last Linear gives the logits.
    Without hidden layers the dropout comes before the only Linear, so that the option never
    goes unused.

    Raises:
        UserError: if a width is not positive or `dropout` is not in [0, 1).
    """
    list_of(
        "head.hidden",
        hidden,
        is_count,
        "a list of positive widths, such as [512] or []",
        empty=True,
    )
    check_dropout(dropout)
    layers: list[nn.Module] = []
    for n in hidden:
        layers += [nn.Linear(width, n, bias=bias), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
        width = n
    if dropout and not hidden:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(width, num_classes, bias=bias))


def check_dropout(dropout: float) -> None:
    """Raise UserError unless `dropout` is a probability below 1."""
    number("head.dropout", dropout, least=0, below=1, takes="a probability in [0, 1)")
