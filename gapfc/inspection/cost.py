"""What a model costs: shapes, parameters, MACs and times, from its config, without training."""

from dataclasses import dataclass, field
from typing import Any, cast

import torch
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf
from torch import nn

from gapfc.data.dataset import load
from gapfc.data.loader import Loader
from gapfc.data.settings import LoaderSettings
from gapfc.data.sources.published_sets import classes_and_side
from gapfc.engine.device import choose_device, choose_precision, flush_subnormals, set_determinism
from gapfc.engine.gather import gather
from gapfc.engine.modes import set_mode
from gapfc.engine.optimizer import build_optimizer
from gapfc.engine.out_of_memory import advice, is_out_of_memory
from gapfc.engine.replicas import Replicas, synchronise_norms
from gapfc.errors import UserError
from gapfc.measure.complexity import count_parameters, macs
from gapfc.measure.timing import median_time
from gapfc.model.build import build, feature_shape
from gapfc.model.classifier import Classifier
from gapfc.ranks import team
from gapfc.ranks.ranks import ALONE, Ranks
from gapfc.settings.explain import explain_in_run
from gapfc.settings.nodes import plain
from gapfc.system.launched import follows
from gapfc.validators import whole

_TOLD = (UserError, InstantiationException, MemoryError, RuntimeError)


@dataclass
class ModelCost:
    """A model and its measures; `error` says why there are none.

    Seconds are of one batch, which `world_size` devices share.
    """

    label: str
    backbone: str
    head: str
    dataset: str
    classes: int = 0
    input: tuple[int, ...] = ()
    batch_size: int = 0
    device: str = ""
    world_size: int = 1
    precision: str = ""
    feature_map: tuple[int, ...] = ()
    parameters: dict[str, int] = field(default_factory=dict)
    macs: dict[str, int] = field(default_factory=dict)
    share: dict[str, dict[str, float]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    error: str | None = None


def measure_cost(config: DictConfig, label: str = "") -> ModelCost:
    """Build what `config` describes and measure it; a failure to build is the row's error.

    A rank that is not the first measures too, for the others to exchange gradients with.
    """
    row = ModelCost(
        label or config.head.name, config.backbone.name, config.head.name, config.dataset.name
    )
    try:
        if not follows():
            gather(config.trainer)
        _measure(config, row)
    except Exception as error:
        if follows():
            raise
        elsewhere = _elsewhere(error)
        if elsewhere is None and not isinstance(error, _TOLD):
            raise
        row.error = elsewhere or _told(error, config, row)
    return row


def _told(error: Exception, config: DictConfig, row: ModelCost) -> str:
    """Why a model could not be measured; raises `error` if it is a bug."""
    if isinstance(error, (MemoryError, RuntimeError)) and is_out_of_memory(error):
        return advice(config, row.device)
    message = explain_in_run(error)
    if message is None:
        raise error
    return " ".join(message.split())


def _elsewhere(error: Exception) -> str | None:
    """What another rank has met, if that is why this one fails. They part: one is left waiting."""
    found = team.current()
    if found is None or isinstance(error, UserError):  # which comes before anything is exchanged
        return None
    said = found.fault(error)
    team.dismiss(lost=True)
    return said


def _measure(config: DictConfig, row: ModelCost) -> None:
    whole("repeats", config.repeats, 1)
    device = choose_device(config.trainer.device)
    precision = choose_precision(config.trainer.precision, device)
    flush_subnormals()
    set_determinism(config.trainer.deterministic)
    found = team.current()
    ranks = ALONE if found is None else found.ranks
    team.check_share(config.trainer.batch_size, ranks)
    nodes = plain(config)
    row.world_size = ranks.size
    row.device, row.precision = device.type, precision.name
    row.batch_size = config.trainer.batch_size
    row.classes, size = _classes_and_size(config, device)
    row.input = (3, *size)
    model = build(nodes, row.classes, size, config.seed)
    row.feature_map = feature_shape(model.backbone, size)
    total, trainable = count_parameters(model)
    backbone, _ = count_parameters(model.backbone)
    head, _ = count_parameters(model.head)
    row.parameters = {"backbone": backbone, "head": head, "total": total, "trainable": trainable}
    row.macs = macs(model.backbone, model.head, row.input)
    row.share = {
        name: {part: counts[part] / max(1, counts["total"]) for part in ("backbone", "head")}
        for name, counts in (("parameters", row.parameters), ("macs", row.macs))
    }
    if found is not None and ranks.rank == 0:
        found.order(command="inspect", config=OmegaConf.to_yaml(config, resolve=True), images={})
    row.seconds = _times(config, nodes, model, row, device, ranks)


def _times(
    config: DictConfig,
    nodes: dict[str, Any],
    model: Classifier,
    row: ModelCost,
    device: torch.device,
    ranks: Ranks,
) -> dict[str, float]:
    """Median seconds of a forward in inference mode, and of a training step, of one batch.

    Of the batch each rank has its share, and gradients are exchanged.
    """
    precision = choose_precision(config.trainer.precision, device)
    layout = torch.channels_last if config.trainer.channels_last else torch.contiguous_format
    model.to(device).to(memory_format=layout)
    generator = torch.Generator().manual_seed(config.seed)
    images = torch.randn(row.batch_size, *row.input, generator=generator)
    images = images[ranks.share(row.batch_size)].to(device).contiguous(memory_format=layout)
    labels = torch.arange(len(images), device=device) % row.classes
    synchronise_norms(model, ranks)
    multipliers = {"head": nodes["head"].get("lr_multiplier", 1.0)}
    layer_decay = nodes["backbone"].get("layer_decay", 1.0)
    optimizer = build_optimizer(model, nodes["optimizer"], multipliers, layer_decay)
    set_mode(optimizer, stepping=True)
    scaler = precision.scaler()
    replicas = Replicas(model, ranks)

    @torch.inference_mode()
    def forward() -> None:
        with precision.autocast():
            model(images)

    def step() -> None:
        with replicas.exchanging(True):
            with precision.autocast():
                loss = nn.functional.cross_entropy(replicas.network(images), labels)
            scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)

    model.eval()
    forward_seconds = median_time(forward, config.repeats, device)
    model.train()
    return {"forward": forward_seconds, "step": median_time(step, config.repeats, device)}


def _classes_and_size(config: DictConfig, device: torch.device) -> tuple[int, tuple[int, int]]:
    """K and (h, w): from what is published if possible, since nothing should be downloaded."""
    settings = LoaderSettings.of(config)
    known = classes_and_side(config.dataset)
    if known is None:
        dataset = load(config.dataset, config.data_root)
        return dataset.num_classes, Loader(dataset, settings, device).input_size
    classes, side = known
    if settings.image_size is None and side is None:
        raise UserError(
            "dataset.image_size=native: these photos have many sizes. "
            "Give the one to describe: dataset.image_size=224"
        )
    return classes, settings.input_size or (cast(int, side), cast(int, side))
