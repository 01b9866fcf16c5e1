"""Weights for torchvision models: by torchvision's own names, or from a file."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights

from gapfc.errors import UserError
from gapfc.formatting import did_you_mean

_SHOWN = 3  # keys that a message spells out before it counts the rest
# The keys of torchvision's older DenseNet files, which it renames too: norm.1 is now norm1.
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


def read_weights(weights: str, architecture: str) -> dict[str, Tensor]:
    """The tensors behind `backbone.weights`: a file, DEFAULT, or another of torchvision's names.

    Raises:
        UserError: if there is no such file or name, the download fails, or the file holds no
            weights.
    """
    path = Path(weights).expanduser()
    # DEFAULT is another name of one of them.
    names = list(dict.fromkeys(["DEFAULT", *get_model_weights(architecture).__members__]))
    if path.is_file():
        state = _read_file(path)
    elif weights in names:
        state = _download(weights, architecture)
    else:
        hint = did_you_mean(weights.upper(), names, ".")
        raise UserError(
            f"backbone.weights={weights}: there is no such file, and torchvision has no such "
            f"weights for {architecture}{hint} It takes null, a path, or one of {', '.join(names)}."
        )
    return {_OLD_DENSENET.sub(r"\1\2", key): value for key, value in state.items()}


def _read_file(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"backbone.weights={path}: cannot be read: {error.strerror}.") from error
    except Exception as error:  # bytes that are no such file can raise anything in the unpickler
        raise UserError(
            f"backbone.weights={path}: this is not a file of weights that torch can load safely "
            "(weights_only=True), or it is damaged. Make one by torch.save(model.state_dict(), …)."
        ) from error
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
    return dict(state)


def _download(weights: str, architecture: str) -> dict[str, Tensor]:
    entry = get_model_weights(architecture)[weights]
    try:
        return dict(entry.get_state_dict(progress=True, check_hash=True, weights_only=True))
    except (OSError, RuntimeError) as error:  # no network; a download with a wrong checksum
        raise UserError(
            f"backbone.weights={weights}: could not download {entry.url} ({error}). Fetch that "
            f"file elsewhere and set backbone.weights=<path to it>, or backbone.weights=null."
        ) from error


def load_trunk(
    model: nn.Module, parts: Mapping[str, nn.Module], weights: Mapping[str, Tensor], source: str
) -> None:
    """Copy the weights that belong to the model's trunk (`parts`, by dotted name) into it.

    Weights of what follows the trunk (classifier, auxiliary classifiers) are optional.

    Raises:
        UserError: naming the keys that are missing, unknown, or of another shape.
    """
    own = {
        f"{name}.{key}": tensor
        for name, part in parts.items()
        for key, tensor in part.state_dict(keep_vars=True).items()
    }
    # Children of the model that are, or lie beside, the trunk; a key under another is foreign.
    trunk_names = {name.split(".")[0] for name in parts}
    unused = {name for name, _ in model.named_children()} - trunk_names
    unused |= {"aux1", "aux2", "AuxLogits"}  # not built here, but in torchvision's files

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
    return ", ".join(items[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
