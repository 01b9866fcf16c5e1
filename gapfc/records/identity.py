"""What makes a run what it is: every setting but those listed here.

This is the only list. By it a sweep leaves out the runs that already exist, runs of one
identity and different seeds form a group, `gapfc compare` refuses to mix groups, and a resumed run
may change nothing in it but the number of epochs.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

SEED = "seed"
# Where a run is saved, and what is shown while it runs.
PLACE = ("data_root", "output_root", "resume", "rerun", "trust", "hydra", "trainer.progress")
# What is read off the measurements afterwards.
REPORTED = ("trainer.targets",)
# What the machine offers. The numbers agree except for rounding.
MACHINE = ("trainer.device", "trainer.eval_batch_size", "dataset.residency", "dataset.workers")
# Speed and rounding too, but a user may well sweep over these, so they belong to the identity. When
# runs are compared, a difference is reported and not refused.
ARITHMETIC = ("trainer.precision", "trainer.compile", "trainer.channels_last", "optimizer.fused")

_OTHERS = frozenset({SEED, *PLACE, *REPORTED, *MACHINE})

# What a resumed run may change.
CHANGEABLE = ("trainer.epochs", "data_root", "trainer.progress", *REPORTED, *MACHINE)


def is_identity(key: str) -> bool:
    """Whether a setting, as in `optimizer.lr`, is part of what a run is."""
    return key not in _OTHERS and re.split("[./]", key)[0] not in _OTHERS


def is_execution(key: str) -> bool:
    """Whether a setting only changes speed and rounding."""
    return key in MACHINE or key in ARITHMETIC


def group_hash(config: Mapping[str, Any]) -> str:
    """What the runs of one group share: 12 hex digits of their identity.

    config: the resolved config as plain dicts, lists and scalars. Paths below `data_root` count
    from there, so that a group may be trained on several machines.
    """
    root = str(config.get("data_root") or "").rstrip("/") + "/"
    shared = _shared(config, root if len(root) > 1 else "")
    text = json.dumps(shared, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _shared(value: Any, root: str, key: str = "") -> Any:
    if isinstance(value, Mapping):
        paths = {name: f"{key}.{name}" if key else str(name) for name in value}
        return {
            name: _shared(item, root, paths[name])
            for name, item in value.items()
            if paths[name] not in _OTHERS
        }
    if isinstance(value, list | tuple):
        return [_shared(item, root, key) for item in value]
    return value.removeprefix(root) if isinstance(value, str) else value
