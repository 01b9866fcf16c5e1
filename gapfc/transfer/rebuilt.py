"""A transfer from its completed config: of a stored run, or of another rank."""

from omegaconf import DictConfig

from gapfc.errors import UserError
from gapfc.settings.trust import Vouched
from gapfc.transfer.experiment import Transfer
from gapfc.transfer.protocols import protocol_of
from gapfc.transfer.source_run import resolve_source


def rebuilt(stored: DictConfig, vouched: Vouched, where: str) -> Transfer:
    """What the config that `where` has describes; UserError if it names no run as the source."""
    transfers = protocol_of(stored.protocol).transfers
    if transfers and not isinstance(stored.source, str):
        # gapfc writes where the source is; to train one is for the user to ask.
        raise UserError(f"{where}: config.yaml does not say which run the source is")
    return Transfer(stored, resolve_source(stored, vouched, weights=transfers))
