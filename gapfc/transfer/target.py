"""The target's model: built anew, then given what the protocol takes from the source."""

import logging
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from gapfc.errors import UserError
from gapfc.heads import LINEAR
from gapfc.model.build import build
from gapfc.model.classifier import Classifier
from gapfc.model.parameter_matching import KEYS
from gapfc.transfer.protocols import Protocol
from gapfc.transfer.source import Source
from gapfc.transfer.weights import (
    State,
    extend_last_layer,
    last_layer,
    load_backbone,
    load_head,
)

log = logging.getLogger(__name__)


def build_target(
    config: Mapping[str, Any],
    protocol: Protocol,
    source: Source,
    num_classes: int,
    image_size: tuple[int, int],
    old_rows: list[int] | None = None,
) -> Classifier:
    """The model as training begins, with everything frozen that the protocol does not train.

    Args:
        config: complete, as plain containers.
        protocol: what is taken and what is trained.
        source: of the weights.
        num_classes: K of the target.
        image_size: (h, w).
        old_rows: where the head keeps the source's classes: the rows they have here.

    Raises:
        UserError: if source, head and protocol don't fit.
    """
    if protocol.keeps_head:
        _check_same_head(config, source)
    nodes = model_nodes(config, protocol, source.pretrained)
    model = build(nodes, num_classes, image_size, config["seed"])
    if protocol.probes:
        _check_probe(model, config, protocol, source)
    if protocol.transfers and source.state is not None:
        load_backbone(model, source.state, source.label)
        _take_head(model, config, protocol, source, source.state)
        if old_rows is not None:
            extend_last_layer(model.head, source.state, old_rows, source.label)
    if protocol.trainable == "none":
        trained = {id(parameter) for parameter in last_layer(model.head)[1].parameters()}
        for parameter in model.head.parameters():
            parameter.requires_grad_(id(parameter) in trained)
    return model


def model_nodes(
    config: Mapping[str, Any], protocol: Protocol, pretrained: bool
) -> dict[str, dict[str, Any]]:
    """The nodes `backbone` and `head` of the target's model, from those in `config`.

    A probe is a linear classifier of what the head pools, whatever the head's other settings.

    Args:
        config: as plain containers.
        protocol: what is taken and what is trained.
        pretrained: whether the source is `backbone.weights` itself.
    """
    backbone = {**config["backbone"], "trainable": protocol.trainable}
    if "weights" in backbone and not (pretrained and protocol.transfers):
        backbone["weights"] = None
    head = dict(config["head"])
    if protocol.probes:
        linear = {**LINEAR, **dict.fromkeys(KEYS)}
        head |= {key: value for key, value in linear.items() if key in head}
    return {"backbone": backbone, "head": head}


def _take_head(
    model: Classifier,
    config: Mapping[str, Any],
    protocol: Protocol,
    source: Source,
    state: State,
) -> None:
    if protocol.keeps_head:
        if not load_head(model.head, state, source.label):
            name = config["head"]["name"]
            log.info("head=%s is one layer, which is new: head_kept is finetune.", name)
    elif protocol.probes and _same_head(config, source.config):
        # A probe sees what the source's pool gives: SPPF's convolutions, GeM's exponent.
        load_head(model.head, state, source.label)


def _check_same_head(config: Mapping[str, Any], source: Source) -> None:
    if source.config is None:
        raise UserError("protocol=head_kept: source=pretrained has no head to keep")
    if not _same_head(config, source.config):
        raise UserError(
            f"protocol=head_kept keeps the source's head={source.config.head.name}; "
            f"head={config['head']['name']} is another. Leave head out."
        )


def _check_probe(
    model: Classifier, config: Mapping[str, Any], protocol: Protocol, source: Source
) -> None:
    """A head with layers before its last has to come with the features, not from the seed."""
    if _same_head(config, source.config):
        return
    name, _ = last_layer(model.head)
    if any(p.ndim > 1 and f"{name}.weight" != n for n, p in model.head.named_parameters()):
        raise UserError(
            f"protocol={protocol.name} solves for a last layer on existing features, and the other "
            f"layers of head={config['head']['name']} are not: the source has "
            f"head={source.facts['head']}. Take protocol=finetune, or another head."
        )


def _same_head(config: Mapping[str, Any], source: DictConfig | None) -> bool:
    return source is not None and bool(config["head"]["_target_"] == source.head["_target_"])
