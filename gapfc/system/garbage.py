"""Python's search for garbage, put off while modules are imported."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """A context for imports and set-up: what they make is kept, and no garbage is looked for.

    Otherwise Python walks through all that was imported again and again, an eighth of the time it
    takes to start. What is there at the end is left out of later searches, too.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
