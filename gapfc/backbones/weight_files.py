"""Files of weights: read without running anything in them, and checked against a model."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from gapfc.errors import UserError
from gapfc.formatting import printable

_SHOWN = 3  # keys that a message spells out before it counts the rest


def read_file(path: Path, entries: Collection[str] = ()) -> dict[str, Tensor]:
    """The state dict in `path`: a .safetensors file, or one of `torch.save`.

    entries: keys under which a checkpoint may hold it, the first that is there counts.

    Raises:
        UserError: if the file cannot be read, or holds no weights.
    """
    try:
        state: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except OSError as error:
        raise UserError(f"backbone.weights={path}: cannot be read: {error.strerror}.") from error
    except safetensors.SafetensorError as error:
        raise UserError(
            f"backbone.weights={path}: this is no .safetensors file, or it is damaged: "
            f"{printable(str(error))}"
        ) from error
    except Exception as error:  # bytes that are no such file can raise anything in the unpickler
        raise UserError(
            f"backbone.weights={path}: this is not a file of weights that torch can load safely "
            "(weights_only=True), or it is damaged. Make one by torch.save(model.state_dict(), …)."
        ) from error
    if isinstance(state, Mapping):
        inner = next((key for key in entries if isinstance(state.get(key), Mapping)), None)
        state = state if inner is None else state[inner]
    if not isinstance(state, Mapping) or not state:
        raise UserError(
            f"backbone.weights={path}: it holds a {type(state).__name__}, not a non-empty state "
            "dict (names to tensors)."
        )
    strangers = [str(key) for key, value in state.items() if not isinstance(value, Tensor)]
    if strangers:
        raise UserError(
            f"backbone.weights={path}: not a state dict: {_some(strangers)} hold no tensor. "
            "If the weights are under one of these keys, save that entry as a separate file."
        )
    return {str(key): value for key, value in state.items()}


def copy_weights(
    own: Mapping[str, Tensor], weights: Mapping[str, Tensor], unused: Collection[str], source: str
) -> None:
    """Copy `weights` into the tensors of a model, `own`, each by its name.

    unused: first parts of names that may be in the weights and not in the model, as a
    classifier's. source: as the user gave it.

    Raises:
        UserError: naming the keys that are missing, unknown, or of another shape.
    """
    # Files from before torch 0.4.1 lack the counters, which only matter without momentum.
    missing = [key for key in own if key not in weights and not key.endswith("num_batches_tracked")]
    unknown = [key for key in weights if key not in own and key.split(".")[0] not in unused]
    wrong = [
        f"{key} is {_shape(weights[key])} in the file and {_shape(tensor)} in the model"
        for key, tensor in own.items()
        if key in weights and weights[key].shape != tensor.shape
    ]
    problems = []
    if missing:
        problems.append(f"the file lacks {_some(missing)}")
    if unknown:
        problems.append(f"the model does not have {_some(unknown)}")
    if wrong:
        problems.append(f"other shapes: {_some(wrong)}")
    if problems:
        raise UserError(
            f"backbone.weights={source} does not fit backbone.name: {'; '.join(problems)}."
        )
    with torch.no_grad():
        for key, tensor in own.items():
            if key in weights:
                tensor.copy_(weights[key])


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a single number"


def _some(items: list[str]) -> str:
    rest = len(items) - _SHOWN
    shown = ", ".join(map(printable, items[:_SHOWN]))
    return shown + (f" and {rest} more" if rest > 0 else "")
