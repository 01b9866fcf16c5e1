"""gapfc compares what can stand between a CNN's last feature map and its logits.

In Python: `gapfc.load(run)` gives the trained model of a run directory, `gapfc.results("outputs")`
a row per run.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gapfc.compare.tidy import results
    from gapfc.trained.load import load

__version__ = "0.1.0"
__all__ = ["__version__", "load", "results"]

# Imported when they are asked for: `gapfc --help` would otherwise take a second longer.
_HOMES = {"load": "gapfc.trained.load", "results": "gapfc.compare.tidy"}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gapfc' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
