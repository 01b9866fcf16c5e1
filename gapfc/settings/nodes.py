"""From a config node to plain containers, and to the object it describes."""

import os
import pkgutil
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, cast

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from gapfc.errors import UserError

# Keys of a node that say something about the object but are not its arguments.
RESERVED = {
    "name", "trainable", "layer_decay", "lr_multiplier", "parameters", "match_parameters_of",
}  # fmt: skip


def views(trainable: str) -> int | None:
    """`augment.views` where a file leaves it to `backbone.trainable`: 4 under frozen stages.

    They then compute four images in place of one for each epoch. None: new ones in every epoch.
    In configs it is `${gapfc.views:…}`.

    >>> views("last"), views("all")
    (4, None)
    """
    return 4 if trainable in ("none", "last") else None


OmegaConf.register_new_resolver("gapfc.views", views, replace=True)


def plain(config: DictConfig) -> dict[str, Any]:
    """`config`, resolved, as plain dicts, lists and scalars."""
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))


def locate(target: str) -> Callable[..., Any]:
    """The class or function called `target`, as in `gapfc.heads.GAP`.

    A user's own is looked for in the working folder, if its module is not an installed one. Only
    then is that folder on Python's path: it may be a stranger's.

    Raises:
        UserError: if there is none.
    """
    package = target.partition(".")[0]
    try:
        if find_spec(package) is None and os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
        found = pkgutil.resolve_name(target)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"there is no {target} (_target_ is a dotted name that Python can import): {error}"
        ) from error
    if not callable(found):
        raise UserError(f"_target_={target} is neither a class nor a function")
    return cast(Callable[..., Any], found)


def construct(node: Mapping[str, Any], **arguments: Any) -> Any:
    """Call `node._target_` with the node's other keys and `arguments`.

    Raises:
        UserError: the constructor's own, unchanged; or if it can't be found or called.
    """
    options = {key: value for key, value in node.items() if key not in RESERVED}
    locate(str(node.get("_target_")))
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
