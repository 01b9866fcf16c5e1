"""Tokens of a transformer as maps `[B, C, H, W]`."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Grid:
    """How a model's tokens `[B, prefix + H·W, C]` lie in the image, row by row.

    Attributes:
        side: pixels of the image that one token stands for, in height and in width.
        prefix: tokens in front that stand for no place, such as a class token and registers.
    """

    side: int
    prefix: int

    @classmethod
    def find(
        cls, tokens: int, image: tuple[int, int], prefix: int | None, sides: list[int]
    ) -> "Grid | None":
        """The grid of a model that makes so many tokens of an image (h, w); None if there is none.

        prefix: their number, None for one that is not known: then at most two. sides: to try.
        """
        prefixes = (0, 1, 2) if prefix is None else (prefix,)
        for side in sides:
            for found in prefixes:
                grid = cls(side, found)
                if grid.of(tokens, image) is not None:
                    return grid
        return None

    def of(self, tokens: int, image: tuple[int, int]) -> tuple[int, int] | None:
        """(H, W) of so many tokens of an image (h, w); None if they are no grid of it."""
        down = (image[0] // self.side, image[1] // self.side)
        up = (-(-image[0] // self.side), -(-image[1] // self.side))
        for height, width in (down, up):
            if height * width + self.prefix == tokens:
                return height, width
        return None

    def map(self, tokens: Tensor, image: tuple[int, int]) -> Tensor:
        """Tokens `[B, prefix + H·W, C]` of an image (h, w), without the prefix: `[B, C, H, W]`."""
        size = self.of(tokens.shape[1], image)
        if size is None:
            raise RuntimeError(f"{tokens.shape[1]} tokens are no grid of an image of {image}")
        return tokens[:, self.prefix :].unflatten(1, size).permute(0, 3, 1, 2)


def to_rows(tokens: Tensor, prefix: int, size: tuple[int, int]) -> Tensor:
    """Tokens `[B, prefix + H·W, C]` as a map `[B, C, r + H, W]`, in which nothing is lost.

    The prefix lies in r rows above the others, behind as many zeros as it takes to fill them.
    """
    height, width = size
    rows = -(-prefix // width)
    padded = functional.pad(tokens, (0, 0, rows * width - prefix, 0))
    return padded.unflatten(1, (rows + height, width)).permute(0, 3, 1, 2)


def from_rows(features: Tensor, prefix: int) -> Tensor:
    """The tokens `[B, prefix + H·W, C]` of which `to_rows` made `features`."""
    width = features.shape[3]
    return features.permute(0, 2, 3, 1).flatten(1, 2)[:, -prefix % width :]


class TokenBlock(nn.Module):
    """A block of a transformer, between maps as `to_rows` makes them.

    features: `[B, C, r + H, W]` -> `[B, C, r + H, W]`; the sides of the map travel with it, and so
    a network can be cut between any two blocks.
    """

    def __init__(self, block: nn.Module, prefix: int) -> None:
        super().__init__()
        self.block = block
        self.prefix = prefix

    def forward(self, features: Tensor) -> Tensor:
        """features: `[B, C, r + H, W]` -> `[B, C, r + H, W]`."""
        rows = -(-self.prefix // features.shape[3])
        size = (features.shape[2] - rows, features.shape[3])
        return to_rows(self.block(from_rows(features, self.prefix)), self.prefix, size)


class DropPrefix(nn.Module):
    """features: `[B, C, r + H, W]`, as `to_rows` makes them -> `[B, C, H, W]`."""

    def __init__(self, prefix: int) -> None:
        super().__init__()
        self.prefix = prefix

    def forward(self, features: Tensor) -> Tensor:
        """features: `[B, C, r + H, W]` -> `[B, C, H, W]`."""
        return features[:, :, -(-self.prefix // features.shape[3]) :]
