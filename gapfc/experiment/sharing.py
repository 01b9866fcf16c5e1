"""What a user is told of a run that several processes share."""

import logging

from torch.nn.modules.batchnorm import _BatchNorm

from gapfc.experiment.experiment import Experiment
from gapfc.formatting import wrapped

log = logging.getLogger(__name__)


def say_who_shares(experiment: Experiment) -> None:
    """Log how many processes there are, what each has of a batch, and what that changes."""
    ranks, batch = experiment.team_ranks, experiment.config.trainer.batch_size
    if ranks.size == 1:
        return
    each = -(-batch // ranks.size)
    words = f"{ranks.size} processes, {each} of each batch's {batch} images to one"
    has_norms = any(isinstance(module, _BatchNorm) for module in experiment.model.modules())
    if has_norms and experiment.device.type == "cpu":
        words += "; batch norm sees each part by itself (on GPUs: the whole batch)"
    log.info("%s", wrapped(f"  shared    {words}", 80, hang=" " * 12))
