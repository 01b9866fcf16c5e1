"""Models and images for probes, without a run."""

import copy

import torch

from gapfc.data.arrays import Arrays
from gapfc.data.dataset import Dataset, load
from gapfc.data.loader import Loader
from gapfc.data.settings import LoaderSettings
from gapfc.engine.device import choose_precision
from gapfc.model.build import build
from gapfc.model.classifier import Classifier
from gapfc.probes.images import Images
from gapfc.probes.subject import Subject
from gapfc.settings.compose import Composer
from gapfc.settings.nodes import plain

CPU = torch.device("cpu")


def composed(*overrides, dataset=None, model=None, untrained=None):
    """What `gapfc train` would build of these overrides, or what is given instead, untrained."""
    config = Composer([]).compose("train", list(overrides))
    dataset = dataset or load(config.dataset, ".")
    loader = Loader(dataset, LoaderSettings.of(config), CPU)
    size = loader.input_size
    if model is None:
        model = build(plain(config), dataset.num_classes, size)
    untrained = untrained or copy.deepcopy(model)
    return Subject(
        model=model.eval(),
        untrained=lambda: untrained.eval(),
        loader=loader,
        split="test",
        images=Images(loader, "test", size),
        input_size=size,
        precision=choose_precision("fp32", CPU),
        device=CPU,
        seed=0,
    )


def pictures(images, labels, boxes, classes=3):
    """A data set whose three splits are these images (uint8 [N, 3, h, w]), not normalised."""
    split = Arrays(images, torch.as_tensor(labels), torch.as_tensor(boxes, dtype=torch.float32))
    names = tuple("abcdefgh"[:classes])
    return Dataset("pictures", names, split, split, split, (0.0,) * 3, (1.0,) * 3)


def bare(head):
    """A network that sees the pixels themselves: its feature map is the image."""
    return Classifier(torch.nn.Identity(), head)
