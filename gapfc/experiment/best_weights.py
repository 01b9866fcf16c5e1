"""The weights in best.pt: those that a run ends with, or would end with now."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from gapfc.engine import checkpoint
from gapfc.engine.stored_state import check_like
from gapfc.errors import UserError
from gapfc.validators import whole


class BestWeights(NamedTuple):
    """Weights by name, and the epoch they are of; None in a file of an earlier gapfc."""

    weights: dict[str, Tensor]
    epoch: int | None


def read_best(folder: Path, model: nn.Module) -> BestWeights:
    """What best.pt in `folder` holds. UserError if that cannot be read, or is not of `model`."""
    path = folder / checkpoint.BEST
    state = checkpoint.load(path)
    with naming(path):
        check_like("model", state["model"], model.state_dict())
        epoch = state.get("epoch")
        if epoch is not None:
            whole("epoch", epoch, least=1)
    return BestWeights(state["model"], epoch)


def check_best(folder: Path, model: nn.Module, needed: int) -> None:
    """UserError, which says what that means, unless best.pt holds the weights of epoch `needed`.

    It may be ahead: then a run was killed between best.pt and last.pt, and will train up to there
    again.
    """
    try:
        epoch = read_best(folder, model).epoch
        if epoch is not None and epoch < needed:
            raise UserError(f"{folder / checkpoint.BEST} is of epoch {epoch}")
    except UserError as error:
        raise UserError(
            f"{error}. It held the weights of epoch {needed}, which no other file holds: this "
            "run cannot be finished. Start it as a new one."
        ) from error


def final_weights(folder: Path, model: nn.Module, needed: int) -> dict[str, Tensor]:
    """The weights of epoch `needed`, with which a run has ended, from best.pt in `folder`.

    UserError if they are of another epoch: the run was killed between writing best.pt and last.pt,
    and has not come to the same best epoch again, as it was given fewer, or computes otherwise.
    """
    weights, epoch = read_best(folder, model)
    if epoch not in (None, needed):
        raise UserError(
            f"{folder / checkpoint.BEST} holds the weights of epoch {epoch}, and the run ends with "
            f"those of epoch {needed}: it was killed while they were written, and has had fewer "
            "epochs or another machine since. Start it as a new one."
        )
    return weights


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Say in errors which file is wrong."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
