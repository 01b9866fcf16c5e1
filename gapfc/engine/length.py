"""How many epochs a run has where `trainer.epochs` leaves it to the number of images."""

from collections.abc import Mapping
from typing import Any

# Images that are seen in all, and the fewest and most epochs. Tried with the recipes for pretrained
# backbones (configs/recipe), which use it.
IMAGES = 3000
FEWEST, MOST = 5, 30


def planned_epochs(config: Mapping[str, Any], images: int) -> Any:
    """`trainer.epochs`; in place of `auto` what so many training images want.

    config: whole, as plain containers.
    """
    setting = config["trainer"]["epochs"]
    if setting != "auto":
        return setting
    return min(max(round(IMAGES / max(images, 1)), FEWEST), MOST)
