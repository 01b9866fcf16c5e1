"""Where the objects of a data set are."""

from torch import Tensor

from gapfc.data.arrays import Arrays
from gapfc.data.dataset import Dataset
from gapfc.data.sizes import Size
from gapfc.errors import UserError
from gapfc.probes.subject import Subject


def boxed(subject: Subject, split: str, probe: str) -> tuple[Tensor, Size]:
    """`boxes_of` the images that `subject` is measured on."""
    return boxes_of(subject.loader.dataset, split, probe)


def boxes_of(dataset: Dataset, split: str, probe: str) -> tuple[Tensor, Size]:
    """Each object's (left, top, right, bottom), float32 [N, 4], and the (h, w) they are pixels of.

    Those are the images as stored. Raises UserError where the data set has no boxes.
    """
    images = dataset.split(split)
    if not isinstance(images, Arrays) or images.boxes is None:
        raise UserError(
            f"probe {probe} needs to know where each object is, and dataset={dataset.name} does "
            "not say it; synthetic_shapes does."
        )
    return images.boxes, images.size


def boxes_in(subject: Subject, shape: Size, probe: str) -> Tensor:
    """The same of `subject.split`, in pixels of what the network sees, images of `shape` (h, w).

    They were resized to dataset.image_size, and may stand in the middle of something larger.
    """
    boxes, stored = boxed(subject, subject.split, probe)
    size = subject.loader.settings.image_size or stored
    (down, right), (top, left) = (
        [new / old for new, old in zip(size, stored, strict=True)],
        [(whole - part) // 2 for whole, part in zip(shape, size, strict=True)],
    )
    scale = boxes.new_tensor([right, down, right, down])
    return boxes * scale + boxes.new_tensor([left, top, left, top])
