"""What every backbone is: named stages, one after another."""

from collections.abc import Mapping

from torch import Tensor, nn

from gapfc.errors import UserError

# What torch says when a pool or a convolution finds less than one window in its input.
_TOO_SMALL = (
    "Output size is too small",
    "Kernel size can't be greater than actual input size",
    "Padding value causes wrapping around more than once",
)


class Stages(nn.Sequential):
    """Named stages, run in order; the output of the last is the feature map.

    images: `[B, 3, h, w]` -> features: `[B, C, H, W]`. `stages` names the submodules whose
    outputs are the successive feature maps, in forward order.

    Raises:
        UserError: in `forward`, if a layer's window does not fit into what is left of the images.
    """

    def __init__(self, label: str, stages: Mapping[str, nn.Module]) -> None:
        """`label`: how messages call this backbone. `stages`: name -> module, in forward order."""
        super().__init__()
        for name, stage in stages.items():
            self.add_module(name, stage)
        self.label = label
        self.stages: tuple[str, ...] = tuple(stages)

    def forward(self, images: Tensor) -> Tensor:
        """images: `[B, 3, h, w]` -> features: `[B, C, H, W]`."""
        return self.part(images)

    def part(self, maps: Tensor, first: int = 0, last: int | None = None) -> Tensor:
        """The output of stage `last` - 1 for the input of stage `first`, both `[B, C, H, W]`.

        Part after part gives the same as all at once.
        """
        given = maps.shape[-2:]
        try:
            for stage in list(self.children())[first:last]:
                maps = stage(maps)
            return maps
        except RuntimeError as error:
            if not any(words in str(error) for words in _TOO_SMALL):
                raise
            height, width = given
            raise UserError(
                f"Images of {height} x {width} are too small for backbone {self.label}: nothing is "
                "left of them before its last layer. Set a larger dataset.image_size, or a "
                "backbone that shrinks them less."
            ) from error
