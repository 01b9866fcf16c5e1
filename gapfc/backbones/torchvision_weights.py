"""Weights for torchvision models: by torchvision's own names, or from a file."""

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn
from torchvision.models import get_model_weights

from gapfc.backbones.weight_files import copy_weights, read_file
from gapfc.errors import UserError
from gapfc.formatting import did_you_mean

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
        state = read_file(path)
    elif weights in names:
        state = _download(weights, architecture)
    else:
        hint = did_you_mean(weights.upper(), names, ".")
        raise UserError(
            f"backbone.weights={weights}: there is no such file, and torchvision has no such "
            f"weights for {architecture}{hint} It takes null, a path, or one of {', '.join(names)}."
        )
    return {_OLD_DENSENET.sub(r"\1\2", key): value for key, value in state.items()}


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

    copy_weights(own, weights, unused, source)
