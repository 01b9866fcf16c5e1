"""Whether features are those that a head was built for."""

from torch import Tensor

from gapfc.errors import UserError


def check_channels(features: Tensor, channels: int) -> None:
    """Raise UserError unless `features` are `[B, channels, H, W]`."""
    if features.ndim != 4 or features.shape[1] != channels:
        raise UserError(
            f"This head was built for features [B, {channels}, H, W] and got "
            f"{list(features.shape)}: the first of its feature_shape is the backbone's channels."
        )
