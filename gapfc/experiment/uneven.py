"""What a run does about classes of uneven size, said before it begins."""

import logging

from gapfc.data.order import BALANCED
from gapfc.engine.settings import BALANCED_ACCURACY
from gapfc.experiment.experiment import Experiment

log = logging.getLogger(__name__)


def say_what_is_balanced(experiment: Experiment) -> None:
    """Lines of the header, if classes count otherwise than by their images; else nothing."""
    weights, sampled = experiment.class_weights, experiment.loader.settings.sampler == BALANCED
    if weights is not None:
        given = experiment.settings.class_weights
        setting = "trainer.class_weights" + (f"={given}" if isinstance(given, str) else "")
        least, most = (f"{float(end):.3g}" for end in (weights.min(), weights.max()))
        log.info("  classes   count %s to %s in the loss (%s)", least, most, setting)
    if sampled:
        log.info("  classes   are seen equally often (dataset.sampler=balanced)")
    if experiment.settings.chosen_by == BALANCED_ACCURACY:
        log.info("  chosen    by balanced accuracy of validation: the mean over classes")
    if weights is not None and sampled:
        log.warning(
            "dataset.sampler=balanced and trainer.class_weights both make up for uneven classes: "
            "together they do so twice over. Take one of them."
        )
