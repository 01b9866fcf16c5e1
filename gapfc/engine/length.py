"""How many epochs a run has where `trainer.epochs` leaves it to the number of images."""

from typing import Any

# Images that are seen in all, and the fewest and most epochs. Measured with the recipes for
# pretrained backbones (configs/recipe), which use it.
IMAGES = 6000
FEWEST, MOST = 5, 30


def epochs_for(setting: Any, images: int) -> Any:
    """`setting` of `trainer.epochs`; in place of `auto` what `images` training images want."""
    if setting != "auto":
        return setting
    return min(max(round(IMAGES / max(images, 1)), FEWEST), MOST)
