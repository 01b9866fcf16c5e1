"""The ways of taking features from a source to a target."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gapfc.errors import UserError


@dataclass(frozen=True)
class Protocol:
    """What is taken over, what is solved for, and what is trained.

    Attributes:
        trainable: stages of the backbone that are trained, as `backbone.trainable`.
        transfers: whether the source's weights are taken at all.
        probes: whether the head's last layer is solved for on frozen features first.
        trains: whether the model is trained by gradient steps (after the probe, if there is one).
        keeps_head: whether the source's head is taken over, but for its last layer.
    """

    name: str
    trainable: str = "all"
    transfers: bool = True
    probes: bool = False
    trains: bool = True
    keeps_head: bool = False

    def nodes(self, config: Mapping[str, Any], pretrained: bool) -> dict[str, Any]:
        """The nodes `backbone` and `head` of the target's model, from those in `config`.

        A probe is a linear classifier of what the head pools: the head loses its hidden layers and
        dropout, and NIN the ReLU behind its convolution (mean(conv1×1(x)) = Linear(mean(x))).

        Args:
            config: as plain containers.
            pretrained: whether the source is `backbone.weights` itself.
        """
        backbone = {**config["backbone"], "trainable": self.trainable}
        if "weights" in backbone and not (pretrained and self.transfers):
            backbone["weights"] = None
        head = dict(config["head"])
        if self.probes:
            size = {"parameters": None, "match_parameters_of": None}
            linear: dict[str, Any] = {"hidden": [], "dropout": 0.0, "relu": False, **size}
            head |= {key: value for key, value in linear.items() if key in head}
        return {"backbone": backbone, "head": head}


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("scratch", transfers=False),
        Protocol("linear_probe", trainable="none", probes=True, trains=False),
        Protocol("last_block", trainable="last"),
        Protocol("lp_ft", probes=True),
        Protocol("finetune"),
        Protocol("head_kept", keeps_head=True),
    )
}


def protocol_of(name: str) -> Protocol:
    """The protocol called `name`. Raises UserError, naming those there are."""
    if name not in PROTOCOLS:
        raise UserError(f"protocol={name}: it takes {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
