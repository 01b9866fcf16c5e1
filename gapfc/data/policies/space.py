"""The operations that policies choose from, and how strong each is at which level."""

from __future__ import annotations

from dataclasses import dataclass

# In the order of torchvision's tables; a drawn number is a place in this list.
OPERATIONS = (
    "identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness",
    "colour", "contrast", "sharpness", "posterize", "solarize", "autocontrast", "equalize",
)  # fmt: skip
STEPS = 30  # the highest of the levels 0..30


@dataclass(frozen=True)
class Space:
    """The strength of each operation at the highest level; at level m it is m/30 of that.

    Attributes:
        shear: tangent of the angle.
        translate: pixels; share: instead, part of the width or height.
        degrees: of rotation.
        factor: brightness, colour, contrast and sharpness are multiplied by 1 ± this.
        bits: of each pixel that posterize drops.
    """

    shear: float
    degrees: float
    factor: float
    bits: int
    translate: float = 0.0
    share: float = 0.0

    def reach(self, side: int) -> float:
        """How many pixels an image with this side moves at the highest level."""
        return self.translate + self.share * side


# Cubuk et al. 2020, arXiv:1909.13719, with the strengths of torchvision's RandAugment.
RANDAUGMENT = Space(shear=0.3, degrees=30, factor=0.9, bits=4, share=150 / 331)
# Müller & Hutter 2021, arXiv:2103.10158, the space "Wide", as torchvision's TrivialAugmentWide.
WIDE = Space(shear=0.99, degrees=135, factor=0.99, bits=6, translate=32)
