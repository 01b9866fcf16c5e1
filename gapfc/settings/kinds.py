"""What every setting takes: one table, by which whole configs are checked before anything is built.

The comments of the YAML files say the same in words; tests/settings/test_kinds.py holds both
together. What a value means beside others (a padding for this kernel, a class of that data set) is
for the code that uses it to check.
"""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gapfc.errors import UserError
from gapfc.settings.kind import Kind, number, pair, several, whole, words
from gapfc.settings.nodes import plain
from gapfc.validators import is_text, is_whole, refuse

# The upper ends are beyond all reason; they keep numbers within what torch and memory can hold.
NULL = Kind("null", lambda value: value is None, ("null",))
FLAG = Kind("true or false", lambda value: isinstance(value, bool), ("true", "false"))
AUTO = words("auto")
TEXT = Kind("a name", is_text)
PATH = Kind("a path", is_text)
FOLDER = PATH | whole(0, 10**9, "a folder called by a number")
NODE = Kind("keys and values below it", lambda value: isinstance(value, dict))
TARGET = Kind("a dotted name, such as gapfc.heads.GAP", is_text)
COUNT = whole(1, 10**9)
BATCH = whole(1, 10**6)
SEED = whole(0, 10**18)
WIDTH = whole(1, 65536)
PIXELS = whole(1, 10000)
SIZE = pair(whole(1, 4096))
SIZES = several(SIZE, "a list of sizes, such as [24, 32]")
SHARE = number(least=0, below=1)
PART = number(above=0, below=1)
FACTOR = number(least=0, most=1)
WIDTHS = "a list of widths of 1 to 65536, such as"
LIMIT = COUNT | NULL
ODD = range(1, 1000, 2)
WORKERS = whole(0, 128)  # processes, each of which takes hundreds of MB
DEPTHS = (20, 32, 44, 56, 110)
EPOCHS = number(least=0, most=10**6)

_TRAINER: dict[str, Kind] = {
    "epochs": whole(1, 10**6) | AUTO,
    "batch_size": BATCH,
    "eval_batch_size": BATCH,
    "device": words("auto", "cpu", "cuda"),
    "devices": whole(1, 4096),
    "precision": words("auto", "fp32", "bf16", "fp16"),
    "channels_last": FLAG,
    "compile": FLAG,
    "deterministic": FLAG,
    "accumulate": BATCH,
    "clip_norm": number(above=0) | NULL,
    "label_smoothing": SHARE,
    "class_weights": words("balanced")
    | several(number(above=0), "a list of a number above 0 for each class", 2, 10**5)
    | NULL,
    "ema": PART | NULL,
    "early_stopping": whole(1, 10**6) | NULL,
    "final_weights": words("best", "last", "auto"),
    "targets": several(number(above=0, most=1), "a list of accuracies above 0, at most 1"),
    "probes": several(TEXT, "a list of probes, such as [shift, size]"),
    "progress": AUTO | FLAG,
    "cache_gib": number(least=0, most=10**6),
}

_AUGMENT: dict[str, Kind] = {
    "name": TEXT,
    "views": whole(1, 1000) | NULL,
    "resized_crop": number(above=0, most=1) | NULL,
    "translate": SHARE,
    "crop_padding": whole(0, 10000),
    "flip": FLAG,
    "policy": words("none", "randaugment", "trivialaugment"),
    "policy_operations": whole(1, 10),
    "policy_magnitude": whole(0, 30),
    "brightness": SHARE,
    "contrast": SHARE,
    "cutout": whole(0, 10000),
    "mixup": number(least=0, most=1000),
    "cutmix": number(least=0, most=1000),
}

# What gapfc reads of every such node, whichever class it is for.
_SHARED: dict[str, dict[str, Kind]] = {
    "dataset": {
        "name": TEXT,
        "_target_": TARGET,
        "image_size": SIZE | words("native"),
        "canvas": whole(1, 4096) | NULL,
        "train_sizes": SIZES | NULL,
        "eval_sizes": SIZES | NULL,
        "classes": several(
            TEXT | whole(0, 10**6),
            "a list of names or numbers, such as [cat, dog] or [3, 5]",
            1,
            10**5,
        )
        | NULL,
        "shots": LIMIT,
        "train_limit": LIMIT,
        "val_limit": LIMIT,
        "test_limit": LIMIT,
        "val_fraction": PART,
        "test_fraction": PART | NULL,
        "split_seed": SEED,
        "mean": FACTOR | several(FACTOR, "three of them", 3, 3) | NULL,
        "std": number(above=0, most=1)
        | several(number(above=0, most=1), "three of them", 3, 3)
        | NULL,
        "residency": words("auto", "device", "stream"),
        "sampler": words("shuffle", "balanced"),
        "workers": WORKERS | AUTO,
        "resize": words("squash", "crop", "pad"),
        "crop_share": number(least=0.1, most=1),
        "max_size": PIXELS | NULL,
        "size_multiple": PIXELS,
    },
    "backbone": {
        "name": TEXT,
        "_target_": TARGET,
        "trainable": words("all", "none", "last"),
        "layer_decay": number(above=0, most=1),
    },
    "head": {
        "name": TEXT,
        "_target_": TARGET,
        "parameters": whole(1, 10**10) | NULL,
        "match_parameters_of": Kind("the name of a head", is_text) | NULL,
        "lr_multiplier": number(least=0, most=10**6),
    },
    "optimizer": {"name": TEXT, "_target_": TARGET, "lr": number(least=0)},
    "schedule": {"name": TEXT, "_target_": TARGET},
}

# The arguments of the classes that gapfc brings, and of torch's optimisers.
_ARGUMENTS: dict[str, dict[str, Kind]] = {
    "dataset": {
        "source": TEXT,
        "split": words("balanced", "byclass", "bymerge", "letters", "digits", "mnist"),
        "partition": whole(1, 10),
        "size": whole(16, 1024) | words("full", "320px", "160px"),
        "label": words("shape", "quadrant"),
        "seamless": FLAG,
        "holdout_quadrants": several(
            words("top_left", "top_right", "bottom_left", "bottom_right"),
            "a list of top_left, top_right, bottom_left or bottom_right, or []",
        ),
        "train_images": whole(1, 10**6),
        "test_images": whole(1, 10**6),
        "seed": SEED,
        "train_dir": FOLDER | NULL,
        "val_dir": FOLDER | NULL,
        "test_dir": FOLDER | NULL,
        "skip_corrupt": FLAG,
        "max_pixels": whole(1, 10**12),
        "check_headers": FLAG,
    },
    "backbone": {
        "architecture": TEXT,
        "weights": Kind("DEFAULT, a name of torchvision's weights, a path", is_text) | NULL,
        "stem": words("imagenet", "small"),
        "depth": Kind(
            "20, 32, 44, 56 or 110",
            lambda value: is_whole(value) and value in DEPTHS,
            tuple(map(str, DEPTHS)),
        ),
        "dropout": SHARE,
        "maps": WIDTH | NULL,
        "widths": several(WIDTH, f"{WIDTHS} [64, 128]", 1),
        "batch_norm": FLAG,
        "pool_after": several(whole(1, 1000), "a list of stages counted from 1, or []"),
        "pool": NODE,
        "kernel_size": Kind(
            "an odd number from 1 to 99",
            lambda value: is_whole(value) and 1 <= value <= 99 and value % 2 == 1,
        ),
        "padding": words("zeros", "circular"),
        "pool.kind": words("max", "avg", "none"),
        "pool.kernel_size": SIZE,
        "pool.stride": SIZE | NULL,
        "pool.padding": pair(whole(0, 10000)),
        "pool.dilation": SIZE,
        "pool.ceil_mode": FLAG,
        "pool.count_include_pad": FLAG,
        "pool.divisor_override": whole(-(10**9), 10**9, "a whole number other than 0") | NULL,
    },
    "head": {
        "hidden": several(WIDTH, f"{WIDTHS} [512], or []"),
        "dropout": SHARE,
        "bias": FLAG,
        "p": number(above=0, most=1000),
        "learn_p": FLAG,
        "eps": PART,
        "queries": whole(1, 1000),
        "r": number(above=0, most=1000),
        "learn_r": FLAG,
        "relu": FLAG,
        "conv": FLAG,
        "levels": several(whole(1, 100), "a list of bin counts of 1 to 100, such as [1, 2, 4]", 1),
        "pool": words("max", "avg"),
        "windows": several(PIXELS, "a list of window sizes, such as [1, 2, 3]", 1),
        "hidden_channels": WIDTH | NULL,
        "out_channels": WIDTH | NULL,
        "kernel_size": Kind(
            "an odd number from 1 to 999", lambda value: is_whole(value) and value in ODD
        ),
        "activation": words("none", "relu", "silu"),
    },
    "optimizer": {
        "momentum": FACTOR,
        "betas": several(SHARE, "two numbers from 0 to below 1, such as [0.9, 0.999]", 2, 2),
        "weight_decay": number(least=0, most=1000),
        "nesterov": FLAG,
        "fused": FLAG,
    },
    "schedule": {
        "warmup_epochs": EPOCHS,
        "final": FACTOR,
        "rise": PART,
        "start": FACTOR,
        "gamma": number(above=0, most=1),
        "patience": whole(0, 10**6),
        "milestones": several(PART, "a list of fractions of the run, such as [0.5, 0.75]"),
    },
}
_TOP: dict[str, Kind] = {
    "seed": whole(0, 2**63 - 1, "a whole number from 0 to 2^63 - 1"),
    "data_root": PATH,
    "output_root": PATH,
    "cache_root": PATH | NULL,
    "resume": Kind("a run directory", is_text) | NULL,
    "rerun": FLAG,
    "trust": FLAG,
    "repeats": whole(1, 10**6),
    "protocol": words("scratch", "linear_probe", "last_block", "lp_ft", "finetune", "head_kept"),
    "keep_classes": FLAG,
    "cka_images": COUNT,
    "source": Kind("a run directory or checkpoint, pretrained", is_text) | NODE,
    "source.dataset": Kind("the name of a data set", is_text) | NULL,
    "source.head": Kind("the name of a head", is_text),
    "source.backbone": Kind("the name of a backbone", is_text),
    "source.seed": whole(0, 2**63 - 1, "a whole number from 0 to 2^63 - 1"),
    "source.options": NODE,
    "only": several(TEXT | whole(1, 10**6), "a list of claims by number or name, such as [3, 8]", 1)
    | whole(1, 10**6, "one number")
    | Kind("one name", is_text)
    | NULL,
    "preset": NODE,
    "preset.name": TEXT,
    "preset.seeds": several(SEED, "a list of seeds, such as [0, 1, 2]", 1),
    "preset.rate_seeds": several(SEED, "a list of seeds, such as [0, 1]", 1),
    "preset.rates": several(number(above=0), "a list of learning rates, such as [1e-3, 3e-3]", 1),
    "preset.beyond": number(above=1),
    "preset.settings": NODE,
    "preset.data": NODE,
}


def _below(prefix: str, kinds: Mapping[str, Kind]) -> dict[str, Kind]:
    return {prefix: NODE, **{f"{prefix}.{key}": kind for key, kind in kinds.items()}}


# Dotted key -> what it takes, where gapfc itself reads it ...
KINDS: dict[str, Kind] = {
    **_TOP,
    **_below("trainer", _TRAINER),
    **_below("augment", _AUGMENT),
    **{key: kind for node, kinds in _SHARED.items() for key, kind in _below(node, kinds).items()},
}
# ... and where the class of the node does. The user's own classes may call other things so.
ARGUMENTS: dict[str, Kind] = {
    f"{node}.{key}": kind for node, kinds in _ARGUMENTS.items() for key, kind in kinds.items()
}
# Which runs of before don't have; nor augment's policy and views.
_NEWER = ("probes", "class_weights", "final_weights", "cache_gib", "devices")
# What gapfc cannot do without; `gapfc transfer` takes backbone and head from the source.
_NEEDED = (
    *(f"trainer.{key}" for key in _TRAINER if key not in _NEWER),
    *(f"augment.{key}" for key in _AUGMENT if key != "views" and not key.startswith("policy")),
    *(f"{node}.{key}" for node in ("dataset", "backbone", "head") for key in ("name", "_target_")),
    *(f"dataset.{key}" for key in ("image_size", "val_fraction", "split_seed")),
    *("optimizer._target_", "schedule._target_"),
)


def check_settings(config: DictConfig, complete: bool = True) -> None:
    """Refuse what any key of a composed config does not take, wherever it was set.

    complete: whether every value must be there; one that is still ??? is otherwise passed over.
    Raises UserError; or one of OmegaConf's for an interpolation that leads nowhere.
    """
    found = plain(config)
    missing = OmegaConf.missing_keys(config)
    if complete and missing:
        raise UserError(f"{min(missing)} needs a value: it is ???")
    _check_below("", found, found, missing)
    for key in _NEEDED:
        node, _, leaf = key.partition(".")
        given = found.get(node)
        from_source = "source" in found and node in ("backbone", "head")
        if leaf not in (given or {}) and not from_source:
            raise UserError(f"{key} is missing: it can be changed, not dropped")
    check_warm_up(found["schedule"], found["trainer"]["epochs"])


def check_value(key: str, value: object, config: Mapping[str, Any]) -> None:
    """Refuse `value` for `key`, if that is a key of gapfc; config: the whole one, for its classes.

    Raises UserError.
    """
    kind = _kind(key, config)
    if kind is not None and not kind.allows(value) and not _from_source(key, value, config):
        refuse(key, kind.takes, value)


def fixed_values(key: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The words that `key` takes, such as auto, cpu and cuda; config: as for `check_value`."""
    kind = _kind(key, config)
    return kind.fixed if kind is not None else ()


def _kind(key: str, config: Mapping[str, Any]) -> Kind | None:
    kind = KINDS.get(key)
    if kind is None and _is_ours(config.get(key.partition(".")[0])):
        kind = ARGUMENTS.get(key)
    return kind


def _check_below(
    prefix: str, node: Mapping[str, Any], config: Mapping[str, Any], missing: set[str]
) -> None:
    for name, value in node.items():
        key = f"{prefix}{name}"
        if key not in missing and key != "hydra":
            check_value(key, value, config)
            if isinstance(value, dict) and key != "source.options":
                _check_below(f"{key}.", value, config, missing)


def _is_ours(node: object) -> bool:
    """Whether the class of a node is gapfc's or torch's; also of one that the source completes."""
    if not isinstance(node, Mapping):
        return True
    target = node.get("_target_", "gapfc.")
    return not isinstance(target, str) or target.startswith(("gapfc.", "torch.optim."))


def _from_source(key: str, value: object, config: Mapping[str, Any]) -> bool:
    return value is None and key in ("backbone", "head") and "source" in config


def check_warm_up(schedule: Mapping[str, Any], epochs: Any) -> None:
    """A warm-up that is longer than the run never reaches the learning rate that was asked for.

    epochs: of the run; where they are `auto`, this is checked once they are known.
    """
    warm_up = schedule.get("warmup_epochs", 0)
    if _is_ours(schedule) and epochs != "auto" and warm_up > epochs:
        raise UserError(
            f"schedule.warmup_epochs={warm_up} is more than trainer.epochs={epochs}: the rate "
            "would never reach optimizer.lr"
        )
