"""What is exported: one function from images to logits."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from gapfc.data.normalize import Normalize
from gapfc.data.sizes import Size
from gapfc.formatting import first_line
from gapfc.model.build import feature_shape
from gapfc.trained.model import TrainedModel

INPUT, OUTPUT = "images", "logits"


class NotExported(Exception):
    """The network cannot be written in a format, or gives other logits when run from its file."""


class Network(nn.Module):
    """A trained model from the pixels on: uint8 RGB `[B, 3, h, w]`, 0 to 255 -> logits `[B, K]`.

    With `raw`, normalising is left to the caller: float32 `[B, 3, h, w]` -> logits `[B, K]`.

    Attributes:
        size: (h, w) of the images that it was trained on.
        takes_any_size: whether it takes other sizes, too.
    """

    def __init__(self, model: TrainedModel, raw: bool = False) -> None:
        super().__init__()
        # Copies: the caller's model stays as it is, trainable too.
        self.backbone, self.head = copy.deepcopy(model.backbone), copy.deepcopy(model.head)
        self.raw = raw
        self._normalize = Normalize(
            model.inputs.mean, model.inputs.std, torch.device("cpu"), channels_last=False
        )
        self.size: Size = model.inputs.size
        self.takes_any_size = (
            getattr(model.head, "accepts_any_size", False)
            and getattr(model.backbone, "image_size", None) is None
        )
        self.eval().requires_grad_(False).to(memory_format=torch.contiguous_format)

    def forward(self, images: Tensor) -> Tensor:
        """Images `[B, 3, h, w]` to logits `[B, K]`."""
        if not self.raw:
            images = self._normalize(images)
        logits: Tensor = self.head(self.backbone(images))
        return logits

    @property
    def dtype(self) -> torch.dtype:
        """Of the images."""
        return torch.float32 if self.raw else torch.uint8


def trace(network: Network, any_size: bool) -> ExportedProgram:
    """The operations of `network`, for any batch size, and any image size or that of training.

    Raises:
        NotExported: saying why it cannot be done.
    """
    # A batch of 2: torch takes an example's sides of length 1 for constants.
    example = torch.zeros(2, 3, *_example_size(network, any_size), dtype=network.dtype)
    axes = (0, 2, 3) if any_size else (0,)
    with exporting(), torch.no_grad():
        program = torch.export.export(
            network, (example,), dynamic_shapes=(dict.fromkeys(axes, Dim.DYNAMIC),), strict=False
        )
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # the folders of this machine
    return program


@contextmanager
def exporting() -> Iterator[None]:
    """Turn what an exporter raises inside into NotExported, and keep its talk off the terminal."""
    before = logging.root.manager.disable
    with (
        warnings.catch_warnings(),
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        except Exception as error:  # anything that an operator's conversion can raise
            cause = error.__cause__ or error
            raise NotExported(first_line(str(cause))[:300] or type(cause).__name__) from error
        finally:
            logging.disable(before)


def _example_size(network: Network, any_size: bool) -> Size:
    """That of training, or so much larger that no side of the feature map has length 1."""
    height, width = network.size
    if any_size:
        while 1 in feature_shape(network.backbone, (height, width))[1:]:
            height, width = 2 * height, 2 * width
    return height, width
