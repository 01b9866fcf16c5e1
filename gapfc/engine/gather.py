"""The processes that a run is shared among, before it begins."""

from typing import Any

import torch

from gapfc.engine.device import choose_device
from gapfc.errors import UserError
from gapfc.ranks import team
from gapfc.system import launched


def gather(trainer: Any) -> None:
    """Be the first of the processes that work on what `trainer`, a node of the config, describes.

    They are those that torchrun has started, or `trainer.devices` that are started here, unless
    they are there from a run before.

    Raises:
        UserError: if there are fewer GPUs or cores.
    """
    wanted = 1 if launched.launched() else trainer.get("devices", 1)
    on_gpus = choose_device(trainer.device).type == "cuda"
    if on_gpus and wanted > (there := torch.cuda.device_count()):
        raise UserError(f"trainer.devices={wanted}, but torch sees {there} GPUs here")
    if wanted > 1:
        launched.start(wanted)
    team.lead(wanted, on_gpus)
