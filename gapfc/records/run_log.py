"""run.log: what the terminal showed, with the time of each line."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def recording(folder: Path) -> Iterator[None]:
    """Append what gapfc logs to `run.log` in `folder`, for as long as the context lasts."""
    logger = logging.getLogger("gapfc")
    handler = logging.FileHandler(folder / "run.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
