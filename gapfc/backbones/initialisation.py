"""How backbones without loaded weights are initialised."""

from torch import nn


def he_initialisation(module: nn.Module) -> None:
    """He's normal initialisation (arXiv:1502.01852, eq. 10) of all convolutions; zero biases."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
