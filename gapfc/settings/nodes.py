"""From a config node to plain containers, and to the object it describes."""

from collections.abc import Mapping
from typing import Any, cast

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from gapfc.errors import UserError

# Keys of a node that say something about the object but are not its arguments.
RESERVED = {"name", "trainable", "lr_multiplier", "parameters", "match_parameters_of"}


def plain(config: DictConfig) -> dict[str, Any]:
    """`config`, resolved, as plain dicts, lists and scalars."""
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))


def construct(node: Mapping[str, Any], **arguments: Any) -> Any:
    """Call `node._target_` with the node's other keys and `arguments`.

    Raises:
        UserError: the constructor's own, unchanged; or if it can't be found or called.
    """
    options = {key: value for key, value in node.items() if key not in RESERVED}
    try:
        return instantiate(options, _convert_="all", **arguments)
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        if isinstance(error.__cause__, TypeError | ValueError) or error.__cause__ is None:
            reason = str(error.__cause__ or error).splitlines()[0]
            given = ", ".join(f"{k}={v}" for k, v in options.items() if k != "_target_")
            raise UserError(
                f"{node.get('_target_')} can't be built: {reason}\nIt was given {given}"
            ) from error
        raise
