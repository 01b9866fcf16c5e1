"""How many epochs a run has where `trainer.epochs` leaves it to the number of images."""

from collections.abc import Mapping
from typing import Any

# Images that are seen in all where part of the backbone is trained, and where the head alone is:
# that takes more steps, and each is cheap. Then the fewest and most epochs. Tried with the recipes
# for pretrained backbones (configs/recipe), which use it.
IMAGES, HEAD_ALONE = 2500, 4500
FEWEST, MOST = 5, 40


def planned_epochs(config: Mapping[str, Any], images: int) -> Any:
    """`trainer.epochs`; in place of `auto` what so many training images want.

    config: whole, as plain containers.
    """
    setting = config["trainer"]["epochs"]
    if setting != "auto":
        return setting
    head_alone = config.get("backbone", {}).get("trainable") == "none"
    seen = HEAD_ALONE if head_alone else IMAGES
    return min(max(round(seen / max(images, 1)), FEWEST), MOST)
