"""New places of classes and functions that have moved since a run recorded them in its config.yaml.

To be deleted with 0.2.0: runs from before 0.1.0 are read until then.
"""

from collections.abc import Mapping
from typing import Any

RENAMED = {
    f"gapfc.data.{module}.{name}": f"gapfc.data.sources.{module}.{name}"
    for module, name in (
        ("cifar_binary", "cifar10"),
        ("cifar_binary", "cifar100"),
        ("digits", "digits"),
        ("folder", "folder"),
        ("folder", "imagenet"),
        ("synthetic_shapes", "synthetic_shapes"),
        ("torchvision_sets", "torchvision_set"),
    )
}


def with_present_targets(node: Any) -> Any:
    """A config, or a part of one, whose `_target_`s are where they are now."""
    if isinstance(node, Mapping):
        return {
            key: RENAMED.get(value, value)
            if key == "_target_" and isinstance(value, str)
            else with_present_targets(value)
            for key, value in node.items()
        }
    return [with_present_targets(item) for item in node] if isinstance(node, list) else node
