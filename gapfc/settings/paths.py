"""Where gapfc's own configs are."""

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

# They are installed as gapfc.configs. `python -m gapfc` in a checkout takes the package from there,
# which has configs/ beside it.
_INSTALLED = find_spec("gapfc.configs") is not None

# The folder of the groups and primary configs, and the same in the form Hydra wants.
CONFIGS = (
    Path(str(files("gapfc.configs")))
    if _INSTALLED
    else Path(__file__).resolve().parents[2] / "configs"
)
SEARCH_PATH = "pkg://gapfc.configs" if _INSTALLED else str(CONFIGS)
