"""What gapfc's own configs say."""

from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from gapfc.settings.paths import CONFIGS


def shipped(group: str, node: Mapping[str, Any]) -> Mapping[Any, Any]:
    """gapfc's config of the name and class that `node` of `group` has; empty if there is none."""
    folder = CONFIGS / group
    path = folder / f"{node.get('name')}.yaml"
    if path.parent != folder or not path.is_file():
        return {}
    usual = OmegaConf.to_container(OmegaConf.load(path))
    if not isinstance(usual, dict) or usual.get("_target_") != node.get("_target_"):
        return {}
    return usual
