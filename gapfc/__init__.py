"""gapfc compares what can stand between a CNN's last feature map and its logits."""

__version__ = "0.1.0"
