"""`gapfc train`: one run in its own directory, or the rest of such a run."""

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from gapfc.experiment.begin import begin, resume
from gapfc.experiment.experiment import Experiment
from gapfc.experiment.invocation import Invocation
from gapfc.settings.trust import Vouched


def run(config: DictConfig) -> int:
    """Train as `config` says; returns the exit code, as `begin` does."""
    overrides = list(HydraConfig.get().overrides.task)
    if config.resume is not None:
        return resume("train", config.resume, overrides, Experiment, Vouched.by(config))
    return begin(Invocation("train", config, overrides), Experiment)
