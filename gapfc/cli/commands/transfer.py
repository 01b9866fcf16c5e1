"""`gapfc transfer`: one run on a target from a source's features, or the rest of such a run."""

from functools import partial

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from gapfc.experiment.begin import begin, resume
from gapfc.experiment.invocation import Invocation
from gapfc.settings.trust import Vouched
from gapfc.system.interruption import Interrupted
from gapfc.transfer.experiment import Transfer
from gapfc.transfer.protocols import protocol_of
from gapfc.transfer.rebuilt import rebuilt
from gapfc.transfer.source import complete
from gapfc.transfer.source_run import resolve_source


def run(config: DictConfig) -> int:
    """Transfer as `config` says; returns the exit code, as `begin` does."""
    overrides = list(HydraConfig.get().overrides.task)
    vouched = Vouched.by(config)

    if config.resume is not None:
        build = partial(rebuilt, vouched=vouched, where=config.resume)
        return resume("transfer", config.resume, overrides, build, vouched)
    protocol = protocol_of(config.protocol)
    try:
        source = resolve_source(config, vouched, weights=protocol.transfers)
    except Interrupted as stop:
        return stop.exit_code
    asked = Invocation("transfer", complete(config, source), overrides)
    return begin(asked, lambda completed: Transfer(completed, source))
