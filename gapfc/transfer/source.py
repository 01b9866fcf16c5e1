"""Where features come from: a run, its checkpoint, or a backbone's own pretrained weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from torch import Tensor

from gapfc.engine import checkpoint
from gapfc.errors import UserError
from gapfc.formatting import first_line
from gapfc.records.identity import ADDED, group_hash
from gapfc.records.run import MOST, Run, is_config_of_run, open_run, parse_config, read_run
from gapfc.records.run_directory import CONFIG
from gapfc.settings.nodes import plain
from gapfc.settings.trust import Vouched, admit

PRETRAINED = "pretrained"
# Keys of a backbone node that leave its architecture as it is.
NOT_ARCHITECTURE = ("name", "trainable", "layer_decay", "weights")


@dataclass(frozen=True)
class Source:
    """A source that has been read but not yet used.

    Attributes:
        facts: what results.json says of it: path, group, head, dataset, backbone, seed, classes,
            test_accuracy and val_accuracy.
        config: of the run, with the nodes backbone, head and dataset; None for pretrained weights.
        state: the model's weights; None for pretrained ones, which the backbone loads itself, and
            for a source of which `scratch` only takes the architecture.
    """

    facts: dict[str, Any]
    config: DictConfig | None = None
    state: Mapping[str, Tensor] | None = None

    @property
    def pretrained(self) -> bool:
        """Whether the source is `backbone.weights`."""
        return self.config is None

    @property
    def label(self) -> str:
        """What messages call it."""
        return str(self.facts["path"] or f"source.dataset={self.facts['dataset']}")


def read_source(path: str | Path, vouched: Vouched) -> Source:
    """The source at `path`, a run directory or a checkpoint in one.

    vouched: what it may name beyond gapfc's own classes.

    Raises:
        UserError: if there is none, it failed, has not ended, or its checkpoint can't be read.
    """
    given = Path(path).expanduser()
    if given.is_file():
        return _read_checkpoint(given, vouched)
    run = open_run(given)
    _check_completed(run)
    config = admit(run.config, run.path / CONFIG, vouched)
    state = checkpoint.load(run.checkpoints / checkpoint.BEST)
    return Source(_facts(str(run.path), config, run.results), config, state["model"])


def untrained_source(config: DictConfig) -> Source:
    """The source that `config` of `gapfc train` describes, as far as `scratch` needs it."""
    return Source(_facts(None, config, {}), config)


def pretrained_source(config: DictConfig) -> Source:
    """The weights that `config.backbone.weights` names.

    Raises:
        UserError: if backbone or head is not chosen, or the backbone has no weights.
    """
    for group in ("backbone", "head"):
        if config.get(group) is None:
            example = {"backbone": "squeezenet1_1", "head": "gap"}[group]
            raise UserError(f"source=pretrained has no {group} of its own: {group}={example}")
    if not config.backbone.get("weights"):
        raise UserError(
            "source=pretrained takes the backbone's own weights: backbone.weights=DEFAULT, or the "
            f"path of a .pth file (backbone={config.backbone.name} has none set)"
        )
    node = plain(config.backbone)
    return Source(
        {
            "path": None,
            "group": group_hash({"backbone": node, "data_root": config.data_root}),
            "head": PRETRAINED,
            "dataset": str(config.backbone.weights),
            "backbone": config.backbone.name,
            "seed": None,
            "classes": None,
            "test_accuracy": None,
            "val_accuracy": None,
        }
    )


def complete(config: DictConfig, source: Source) -> DictConfig:
    """`config` with the source's backbone, and its head unless another is chosen.

    Raises:
        UserError: if the chosen backbone differs from the source's.
    """
    complete = config.copy()
    with open_dict(complete):
        if source.config is None:
            return complete
        # From here on the run is known, whether it was named or described.
        complete.source = source.facts["path"] or config.source
        theirs = plain(source.config.backbone)
        ours = {} if config.get("backbone") is None else plain(config.backbone)
        if ours:
            differing = sorted(
                key
                for key in (ours.keys() | theirs.keys()) - set(NOT_ARCHITECTURE)
                if ours.get(key, ADDED.get(f"backbone.{key}"))
                != theirs.get(key, ADDED.get(f"backbone.{key}"))
            )
            if differing:
                key = differing[0]
                told = "" if key == "_target_" else f" ({key}: {ours.get(key)}, {theirs.get(key)})"
                raise UserError(
                    f"backbone={ours['name']} is of another architecture than the source's "
                    f"{theirs['name']}{told}: its weights fit no other. Leave out backbone; it is "
                    "taken from the source."
                )
        # How a source was trained is no part of what is taken from it.
        complete.backbone = {**theirs, "layer_decay": ours.get("layer_decay", 1.0)}
        complete.head = OmegaConf.merge(
            {} if "_target_" in (config.get("head") or {}) else plain(source.config.head),
            config.get("head") or {},
        )
    return complete


def _read_checkpoint(path: Path, vouched: Vouched) -> Source:
    state = checkpoint.load(path)
    run = read_run(path.resolve().parent.parent)
    if "config" in state:
        config = _config_of(path, state["config"])
    elif run.config:
        config = dict(run.config)
    else:
        raise UserError(f"{path} does not say which model it belongs to: take best.pt, which does")
    if run.results:
        _check_completed(run)
    made = admit(config, path, vouched)
    return Source(_facts(str(path.resolve()), made, run.results), made, state["model"])


def _config_of(path: Path, text: Any) -> dict[str, Any]:
    try:
        if not isinstance(text, str) or len(text) > MOST:
            raise ValueError("it is not the text of one")
        config = parse_config(text)
    except ValueError as error:
        said = first_line(str(error))
        raise UserError(f"{path}: the config in it cannot be read ({said})") from error
    if not is_config_of_run(config):
        raise UserError(f"{path}: the config in it is not of a run")
    return config


def _check_completed(run: Run) -> None:
    if run.status == "failed":
        raise UserError(f"The source {run.path} failed: {run.results['error']}")
    if not run.completed:
        raise UserError(
            f"The source {run.path} is not finished ({run.reason}). Finish it: "
            f"gapfc {run.command} resume={run.path}"
        )


def _facts(path: str | None, config: DictConfig, results: Mapping[str, Any]) -> dict[str, Any]:
    classes = config.dataset.get("classes")
    return {
        "path": path,
        "group": results.get("group") or group_hash(plain(config)),
        "head": config.head.name,
        "dataset": config.dataset.name,
        "backbone": config.backbone.name,
        "seed": config.seed,
        "classes": None if classes is None else [str(name) for name in classes],
        "test_accuracy": (results.get("test") or {}).get("accuracy"),
        "val_accuracy": (results.get("val") or {}).get("accuracy"),
    }
