"""A source's weights, put into the target's model."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gapfc.errors import UserError
from gapfc.model.classifier import Classifier

State = Mapping[str, Tensor]


def load_backbone(model: Classifier, state: State, source: str) -> None:
    """Load the backbone's weights and statistics from a source's state.

    Raises:
        UserError: if the source's backbone has another architecture.
    """
    weights = _below("backbone.", state)
    own = model.backbone.state_dict()
    wrong = sorted(
        set(own.keys() ^ weights.keys())
        | {n for n in own.keys() & weights.keys() if own[n].shape != weights[n].shape}
    )
    if wrong:
        raise UserError(
            f"The weights in {source} are of another architecture than its config says: "
            f"{len(wrong)} of {len(own)} tensors of the backbone don't fit, the first is {wrong[0]}"
        )
    model.backbone.load_state_dict(weights)


def load_head(head: nn.Module, state: State, source: str) -> list[str]:
    """Load all of a head but its last layer from a source's state; returns the names loaded.

    Raises:
        UserError: if the source's head has another shape.
    """
    new = {f"{last_layer(head)[0]}.{name}" for name in ("weight", "bias")}
    given = _below("head.", state)
    own = head.state_dict()
    kept = [name for name in own if name not in new]
    for name in kept:
        if name not in given or given[name].shape != own[name].shape:
            found = list(given[name].shape) if name in given else "nothing"
            raise UserError(
                f"The head of {source} can't be kept: {name} is {list(own[name].shape)} here and "
                f"{found} there. Take the source's head and its dataset.image_size."
            )
    head.load_state_dict({name: given[name] for name in kept}, strict=False)
    return kept


def extend_last_layer(head: nn.Module, state: State, rows: list[int], source: str) -> None:
    """Copy the source's classes into the last layer. rows[i]: the row of the source's class i.

    Raises:
        UserError: if the source's last layer has another width or another number of classes.
    """
    name, layer = last_layer(head)
    given = _below("head.", state)
    for kind, own in layer.named_parameters():
        theirs = given.get(f"{name}.{kind}")
        if theirs is None or len(theirs) != len(rows) or theirs.shape[1:] != own.shape[1:]:
            found = "no such layer" if theirs is None else f"{kind} {list(theirs.shape)}"
            raise UserError(
                f"The classes of {source} can't be kept: its last layer has {found}, and its "
                f"{len(rows)} classes need {[len(rows), *own.shape[1:]]} under this head"
            )
        with torch.no_grad():
            own[rows] = theirs.to(own)


def last_layer(head: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """Name and module of what gives the logits.

    For a head without `last_layer`, this is its last Linear or 1×1 convolution.

    Raises:
        UserError: if it has none.
    """
    linear = {
        module: name
        for name, module in head.named_modules()
        if isinstance(module, nn.Linear)
        or (isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1))
    }
    last = getattr(head, "last_layer", next(reversed(linear), None))
    if last not in linear:
        raise UserError(
            f"This head ({type(head).__name__}) has no layer of parameters that gives the logits: "
            "there is nothing to solve for or to replace. Take protocol=finetune, or another head."
        )
    return linear[last], last


def _below(prefix: str, state: State) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}
