"""The ways of taking features from a source to a target."""

from dataclasses import dataclass

from gapfc.errors import UserError


@dataclass(frozen=True)
class Protocol:
    """What is taken over, what is solved for, and what is trained.

    Attributes:
        trainable: stages of the backbone that are trained, as `backbone.trainable`.
        transfers: whether the source's weights are taken at all.
        probes: whether the head's last layer is solved for on frozen features first.
        trains: whether the model is trained by gradient steps (after the probe, if there is one).
        keeps_head: whether the source's head is taken over, except for its last layer.
    """

    name: str
    trainable: str = "all"
    transfers: bool = True
    probes: bool = False
    trains: bool = True
    keeps_head: bool = False


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
    """The protocol called `name`. Raises UserError naming the existing ones."""
    if name not in PROTOCOLS:
        raise UserError(f"protocol={name}: it takes {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
