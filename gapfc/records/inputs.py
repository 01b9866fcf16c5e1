"""What turns a stranger's image into a trained network's input, and its output into a class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gapfc.validators import is_number, is_whole

Size = tuple[int, int]

# Of each channel of photos, in units of [0, 1]: what photos are normalised by unless the settings
# say otherwise, and most pretrained weights were trained with.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

CLASSES, TRANSFORM = "classes", "input_transform"  # the keys of results.json and best.pt
RESIZE = ("squash", "crop", "pad")
LEAST_CROP_SHARE = 0.1  # of the shorter side; less is no photo of anything
RESAMPLERS = ("pillow", "torch")
# The same for every run so far; recorded for readers that don't know gapfc. From one that says
# otherwise, written by a later gapfc, nothing is read.
FIXED = {"channels": "rgb", "grey": "repeated", "interpolation": "bilinear", "antialias": True}
LARGEST_SIDE = 2**14  # pixels of `size`, at which a network is tried out when it is loaded
LARGEST_WHOLE = 2**31 - 1
MOST_CLASSES, LONGEST_CLASS = 2**20, 1000


@dataclass(frozen=True)
class Inputs:
    """All that is needed beside the network. Sizes are (h, w) in pixels.

    An image becomes RGB (grey is repeated), is resized, set into the middle of a black canvas if
    there is one, and normalised: (pixel / 255 - mean) / std.

    Attributes:
        classes: by name, in the order of the logits.
        mean, std: of each channel, in units of [0, 1].
        size: of the input that the network was built for.
        image_size: that images are resized to; None: each keeps its own, as `max_size` (its longer
            side at most) and `size_multiple` (of which its sides are) allow.
        canvas: None for none; else equal to `size`.
        resize: squash (the whole image), crop (the shorter side resized, then the centre) or pad
            (the whole image in its proportions, the rest in the colour of `mean`).
        crop_share: of crop: the part of the shorter side that is kept.
        resampler: of the library that resizes. They differ by rounding: one level in 255 at most.
    """

    classes: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    size: Size
    image_size: Size | None
    canvas: Size | None = None
    resize: str = "squash"
    resampler: str = "pillow"
    max_size: int | None = None
    size_multiple: int = 1
    crop_share: float = 1.0

    def as_record(self) -> dict[str, Any]:
        """As `classes` and `input_transform` of results.json: plain containers."""
        transform = {key: _plain(value) for key, value in asdict(self).items() if key != CLASSES}
        return {CLASSES: list(map(spelled, self.classes)), TRANSFORM: transform | FIXED}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Inputs | None:
        """What `as_record` wrote, among other keys, or None if it is not there.

        Raises ValueError saying what is wrong with it.
        """
        if record.get(CLASSES) is None and record.get(TRANSFORM) is None:
            return None
        classes, found = record.get(CLASSES), record.get(TRANSFORM)
        if not isinstance(classes, list) or not _are_classes(classes):
            raise ValueError(f"{CLASSES} should be a list of 2 or more names")
        if not isinstance(found, Mapping):
            raise ValueError(f"{TRANSFORM} should be a mapping")
        found = {"crop_share": 1.0, **found}  # records of before do not have it
        checks = {
            "mean": _is_channels,
            "std": lambda value: _is_channels(value) and min(value) > 0,
            "size": _is_size,
            "image_size": lambda value: value is None or _is_size(value),
            "canvas": lambda value: value is None or value == found["size"],
            "resize": RESIZE.__contains__,
            "crop_share": lambda value: is_number(value) and LEAST_CROP_SHARE <= value <= 1,
            "resampler": RESAMPLERS.__contains__,
            "max_size": lambda value: value is None or _is_side(value, LARGEST_WHOLE),
            "size_multiple": lambda value: _is_side(value, LARGEST_WHOLE),
            **{key: value.__eq__ for key, value in FIXED.items()},
        }
        for key, holds in checks.items():
            value = found.get(key, found)  # a value that no check takes
            if isinstance(value, Mapping) or holds(value) is not True:
                said = f"is {str(found[key])[:60]}" if key in found else "is missing"
                raise ValueError(f"{TRANSFORM}.{key} {said}, which this gapfc does not know")
        own = {key: _frozen(found[key]) for key in checks if key not in FIXED}
        made = cls(classes=tuple(classes), **own)
        made._check_fit()
        return made

    def _check_fit(self) -> None:
        """The sizes belong together, or an image could not be brought to the network."""
        given = self.canvas or self.image_size
        if given is not None and given != self.size:
            raise ValueError(f"{TRANSFORM}: images do not come to the size of the network's input")
        if self.crop_share < 1 and (self.resize != "crop" or self.image_size is None):
            raise ValueError(f"{TRANSFORM}: it has a crop_share and does not crop")
        if self.canvas is not None and (
            self.image_size is None
            or any(image > side for image, side in zip(self.image_size, self.canvas, strict=True))
        ):
            raise ValueError(f"{TRANSFORM}: the images do not fit on the canvas")


def spelled(name: str) -> str:
    """A class's name as it is recorded: bytes that are no UTF-8, as a folder has, are spelled out.

    >>> print(spelled("caf\\udce9"))
    caf\\udce9
    """
    return name.encode("utf-8", "backslashreplace").decode()


def _are_classes(names: list[Any]) -> bool:
    return 2 <= len(names) <= MOST_CLASSES and all(
        isinstance(name, str) and 0 < len(name) <= LONGEST_CLASS for name in names
    )


def _is_channels(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(is_number, value))


def _is_side(value: Any, most: int = LARGEST_SIDE) -> bool:
    return is_whole(value) and 1 <= value <= most


def _is_size(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_side, value))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
