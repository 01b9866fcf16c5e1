"""The weights alone (https://github.com/huggingface/safetensors): for gapfc.heads in your code."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import safetensors.torch
import torch
from torch import Tensor, nn

from gapfc.trained.export.format import Format, Runner
from gapfc.trained.export.program import Network


def write(network: Network, facts: Mapping[str, str], any_size: bool) -> bytes:
    """The file: `backbone.…` and `head.…` as in best.pt, with `facts` as its metadata."""
    weights = {name: tensor.contiguous() for name, tensor in _weights(network).items()}
    content: bytes = safetensors.torch.save(weights, dict(facts))
    return content


def read(content: bytes, network: Network) -> Runner:
    """The same network, of which nothing is left but what the file has."""
    fresh = copy.deepcopy(network)
    own = _weights(fresh)
    for tensor in own.values():
        tensor.fill_(float("nan") if tensor.is_floating_point() else 0)
    nn.ModuleDict({"backbone": fresh.backbone, "head": fresh.head}).load_state_dict(
        safetensors.torch.load(content)
    )
    return fresh


def _weights(network: Network) -> dict[str, Tensor]:
    with torch.no_grad():
        return nn.ModuleDict({"backbone": network.backbone, "head": network.head}).state_dict()


SAFETENSORS = Format("weights by name", write, read, "a network without any", takes_images=False)
