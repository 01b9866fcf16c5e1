"""The probes that `trainer.probes` asks for, at the end of a run or added to one that has ended."""

import logging
from collections.abc import Sequence
from pathlib import Path

from gapfc.experiment.best_weights import read_best
from gapfc.experiment.experiment import Experiment
from gapfc.model.build import rebuild
from gapfc.model.classifier import Classifier
from gapfc.probes.images import Images
from gapfc.probes.measure import measure, merged
from gapfc.probes.subject import Subject
from gapfc.records.probes import Probes, read_probes, write_probes
from gapfc.records.run import Run
from gapfc.records.run_directory import RunDirectory
from gapfc.tensorboard.events import TensorBoardLog
from gapfc.tensorboard.probes import log_probes

log = logging.getLogger(__name__)


def probe(
    experiment: Experiment, names: Sequence[str], folder: Path, tensorboard: TensorBoardLog
) -> None:
    """Measure `names` with the model as it is; write what is found, beside what was there.

    A probe that cannot be carried out is told and left out. Raises Interrupted, and OSError.
    """
    log.info("probes: %s", ", ".join(names))
    found, problems = measure(_subject(experiment), names, experiment.config.dataset.name)
    for why in problems.values():
        log.warning("%s", why)
    write_probes(folder, merged(_there(folder), found))
    log_probes(tensorboard, found.values, experiment.training.progress.step)


def add(experiment: Experiment, run: Run, names: Sequence[str]) -> None:
    """Measure `names` of the completed `run`, which `experiment` was built for."""
    directory = RunDirectory.resume(run.path)
    try:
        best = read_best(directory.checkpoints, experiment.model)
        experiment.model.load_state_dict(best.weights)
        tensorboard = TensorBoardLog(run.path)
        try:
            with experiment.interruption, experiment.turns:
                probe(experiment, names, run.path, tensorboard)
        finally:
            tensorboard.close()
    finally:
        directory.close()


def _subject(experiment: Experiment) -> Subject:
    """What probes measure: the model as it is, on the test images (without any: validation)."""
    split = "val" if experiment.dataset.test is None else "test"

    def untrained() -> Classifier:
        nodes, classes = experiment.model_nodes(), experiment.dataset.num_classes
        return rebuild(nodes, classes, experiment.input_size, experiment.config.seed).to(
            experiment.device
        )

    return Subject(
        model=experiment.model.eval(),
        untrained=untrained,
        loader=experiment.loader,
        split=split,
        images=Images(experiment.loader, split, experiment.input_size),
        input_size=experiment.input_size,
        precision=experiment.precision,
        device=experiment.device,
        seed=experiment.config.seed,
        check=experiment.check,
    )


def _there(folder: Path) -> Probes | None:
    try:
        return read_probes(folder)
    except (OSError, ValueError):
        return None
