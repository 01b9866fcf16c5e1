"""What is known about published data sets without having them: classes, and the size of images."""

from omegaconf import DictConfig

# Classes K, and the side in pixels if all images are stored at one size.
_SETS: dict[str, tuple[int, int | None]] = {
    "mnist": (10, 28),
    "fashion_mnist": (10, 28),
    "kmnist": (10, 28),
    "cifar10": (10, 32),
    "cifar100": (100, 32),
    "svhn": (10, 32),
    "stl10": (10, 96),
    "eurosat": (10, 64),
    "flowers102": (102, None),
    "oxford_pets": (37, None),
    "dtd": (47, None),
    "food101": (101, None),
    "caltech101": (101, None),
    "imagenette": (10, None),
    "imagenet": (1000, None),
}

_EMNIST = {"byclass": 62, "bymerge": 47, "balanced": 47, "letters": 26, "digits": 10, "mnist": 10}


def classes_and_side(dataset: DictConfig) -> tuple[int, int | None] | None:
    """(K, stored side or None) of a `dataset` config node; None for a set that must be read."""
    source = dataset.get("source") or dataset.name
    if source == "emnist":
        known: tuple[int, int | None] | None = (_EMNIST.get(dataset.get("split"), 47), 28)
    else:
        known = _SETS.get(source)
    if known is not None and dataset.get("classes") is not None:
        return len(dataset.classes), known[1]
    return known
