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

from gapfc.errors import UserError
from gapfc.records.renamed_targets import with_present_targets

SEED = "seed"
# Where a run is saved, and what is shown while it runs.
PLACE = (
    "data_root",
    "output_root",
    "cache_root",
    "resume",
    "rerun",
    "trust",
    "hydra",
    "trainer.progress",
)
# What other settings come from, which count themselves.
ORIGIN = ("recipe",)
# What is read off the measurements afterwards.
REPORTED = ("trainer.targets", "trainer.probes")
# What the machine offers. The numbers agree except for rounding.
MACHINE = (
    "trainer.device",
    "trainer.devices",
    "trainer.eval_batch_size",
    "trainer.cache_gib",
    "dataset.residency",
    "dataset.workers",
)
# Speed and rounding too, but a user may well sweep over these, so they belong to the identity. When
# runs are compared, a difference is reported and not refused.
ARITHMETIC = ("trainer.precision", "trainer.compile", "trainer.channels_last", "optimizer.fused")

# Settings that runs of before did not have yet, and what a run without them is a run with.
ADDED = {
    "backbone.layer_decay": 1.0,
    "backbone.kernel_size": 3,
    "backbone.padding": "zeros",
    "dataset.holdout_quadrants": [],
    "dataset.seamless": False,
    "dataset.canvas": None,
    "augment.views": None,
    "trainer.final_weights": "best",
    "dataset.sampler": "shuffle",
    "trainer.class_weights": None,
    "augment.policy": "none",
    "augment.policy_operations": 2,
    "augment.policy_magnitude": 9,
    "dataset.val_limit": None,
    "dataset.crop_share": 1.0,
}

_OTHERS = frozenset({SEED, *PLACE, *ORIGIN, *REPORTED, *MACHINE})

# The keys by which runs of a command are grouped to be compared, if no others are asked for.
GROUPED_BY = {"train": ("head",), "transfer": ("source.head", "protocol")}

# What a resumed run may change.
CHANGEABLE = ("trainer.epochs", "data_root", "trainer.progress", *REPORTED, *MACHINE)


def check_changeable(key: str) -> None:
    """Raise UserError unless a resumed run may change the setting `key`."""
    if key not in CHANGEABLE:
        raise UserError(
            f"resume continues a run as it was configured: {key} can't change. "
            f"Only {', '.join(CHANGEABLE)} can."
        )


def is_identity(key: str) -> bool:
    """Whether a setting, as in `optimizer.lr`, is part of what a run is."""
    return key not in _OTHERS and re.split("[./]", key)[0] not in _OTHERS


def is_execution(key: str) -> bool:
    """Whether a setting only changes speed and rounding."""
    return key in MACHINE or key in ARITHMETIC


def is_as_before(key: str, value: Any) -> bool:
    """Whether a setting has the value that a run without it has: it is no part of the identity."""
    return key in ADDED and bool(ADDED[key] == value)


def group_hash(config: Mapping[str, Any]) -> str:
    """What the runs of one group share: 12 hex digits of their identity.

    config: the resolved config as plain dicts, lists and scalars. Paths below `data_root` count
    from there, so that a group may be trained on several machines.
    """
    return hashlib.sha256(_text(_shared(config, _root(config))).encode()).hexdigest()[:12]


def is_same_group(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two configs have one identity: with paths from each's `data_root`, or as they stand.

    A file that is named by its whole path is the same one whatever `data_root` is.
    """
    moved = {**one, "data_root": other.get("data_root")}
    return group_hash(other) in (group_hash(one), group_hash(moved))


def settings_text(config: Mapping[str, Any]) -> str:
    """All that a resumed run may not change, and the number of epochs, as JSON: a run's own record.

    config: as for `group_hash`.
    """
    return _text({**_shared(config, _root(config)), SEED: config[SEED]})


def changed_settings(recorded: str, config: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """What `config` says otherwise than `recorded`, which `settings_text` made of another config.

    Returns, by key, the recorded value and that of `config`, both as JSON; `nothing` for a key
    that is not there. Raises ValueError if `recorded` can't be read.
    """
    try:
        then = _flat(with_present_targets(json.loads(recorded)))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    now = _flat(json.loads(settings_text(config)))
    return {
        key: (then.get(key, "nothing"), now.get(key, "nothing"))
        for key in sorted(then.keys() | now.keys())
        if key not in CHANGEABLE and then.get(key) != now.get(key)
    }


def _root(config: Mapping[str, Any]) -> str:
    root = str(config.get("data_root") or "").rstrip("/") + "/"
    return root if len(root) > 1 else ""


def _text(settings: Any) -> str:
    return json.dumps(settings, sort_keys=True, separators=(",", ":"), default=str)


def _flat(value: Any, key: str = "") -> dict[str, str]:
    """Nested settings as `{"optimizer.lr": "0.1"}`."""
    if not isinstance(value, Mapping) or (key and not value):
        return {key: _text(value)}
    flat: dict[str, str] = {}
    for name, item in value.items():
        flat |= _flat(item, f"{key}.{name}" if key else str(name))
    return flat


def _shared(value: Any, root: str, key: str = "") -> Any:
    if isinstance(value, Mapping):
        paths = {name: f"{key}.{name}" if key else str(name) for name in value}
        return {
            name: _shared(item, root, paths[name])
            for name, item in value.items()
            if paths[name] not in _OTHERS and not is_as_before(paths[name], item)
        }
    if isinstance(value, list | tuple):
        return [_shared(item, root, key) for item in value]
    return value.removeprefix(root) if isinstance(value, str) else value
