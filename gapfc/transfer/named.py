"""Whether a source is named or described at all; nothing here needs torch."""

from omegaconf import DictConfig

from gapfc.errors import UserError


def check_named(source: object) -> None:
    """UserError if the setting `source` neither names a source nor describes one."""
    described = isinstance(source, DictConfig) and source.get("dataset") is not None
    if not described and not isinstance(source, str):
        raise UserError(
            "transfer needs a source: source=<run directory or checkpoint>, source.dataset=… "
            "source.head=… to train one, or source=pretrained with a backbone that has weights"
        )
