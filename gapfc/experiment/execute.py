"""An experiment carried out in a run directory; its end is always recorded."""

import logging
from contextlib import nullcontext
from logging.handlers import MemoryHandler
from typing import Any

from tqdm.contrib.logging import logging_redirect_tqdm

from gapfc.engine.losses import Diverged
from gapfc.engine.out_of_memory import advice, is_out_of_memory
from gapfc.errors import UserError
from gapfc.experiment import console, scores
from gapfc.experiment.experiment import Experiment
from gapfc.experiment.invocation import Invocation
from gapfc.experiment.journal import Journal
from gapfc.experiment.logged import begin_log, log_results
from gapfc.experiment.probing import probe
from gapfc.experiment.results import results_of
from gapfc.ranks import team
from gapfc.ranks.watch import watching
from gapfc.records.faults import disk_fault
from gapfc.records.predictions import write_predictions
from gapfc.records.results import Status
from gapfc.records.run_directory import RunDirectory
from gapfc.records.run_log import recording
from gapfc.system.interruption import Interrupted
from gapfc.tensorboard.events import TensorBoardLog

log = logging.getLogger(__name__)


def execute(
    asked: Invocation,
    experiment: Experiment,
    directory: RunDirectory,
    held: MemoryHandler | None = None,
) -> int:
    """Train, measure, and write results.json, however it ends.

    Args:
        asked: what the experiment was built from.
        experiment: ready to train, or resumed.
        directory: owned; closed at the end.
        held: what was logged while the experiment was built.

    Returns:
        The exit code: 0 completed, 1 failed, 129, 130 or 143 interrupted by SIGHUP, SIGINT
        or SIGTERM.
    """
    try:
        return _carry_out(asked, experiment, directory, held)
    except Exception as error:
        # Not even its end could be recorded: of two faults of one disk, one line.
        fault = disk_fault(error, directory.path, asked.command)
        if fault is None:
            raise
        log.error("failed: %s", fault)
        return 1
    finally:
        experiment.loader.forget()
        directory.close()


def _carry_out(
    asked: Invocation,
    experiment: Experiment,
    directory: RunDirectory,
    held: MemoryHandler | None,
) -> int:
    step = experiment.training.progress.step
    tensorboard = TensorBoardLog(directory.path, step + 1 if step else None)
    settings = experiment.settings
    bar = None if settings.progress == "auto" else settings.progress
    journal = Journal(directory, tensorboard, settings.epochs, bar, settings.chosen_by)
    status: Status = "failed"
    message, code = None, 1
    lost = False  # whether this rank has left what others are at
    found: dict[str, Any] = {}

    def gone(said: str) -> None:
        failed = results_of(asked, "failed", said, experiment, {})
        directory.write_results(failed)
        found = team.current()  # asked now: it may not answer
        failed["error"] = (found and found.known()) or said
        directory.write_results(failed)
        console.ending(failed, directory.path)

    with (
        experiment.interruption,
        recording(directory.path, held),
        # The handler that the bar would draw over is the root logger's.
        logging_redirect_tqdm() if journal.shows_bar else nullcontext(),
    ):
        try:
            console.beginning(experiment, directory.path)
            if not step:
                begin_log(tensorboard, asked, experiment)
            with experiment.interruption.at_work(), experiment.turns:
                with watching(experiment.team_ranks.size, experiment.interruption, gone):
                    experiment.fit(directory, journal)
                    experiment.load_best(directory)
                    journal.close()
                    console.measuring(experiment)
                    measured, predictions = scores.measure(experiment)
                    fields = scores.fields(experiment, measured)
                    experiment.part()
                if experiment.probes:
                    probe(experiment, experiment.probes, directory.path, tensorboard)
                fields |= experiment.extra_results(measured)
            # Before results.json: a run that says it is completed has all its files.
            if predictions is not None:
                write_predictions(directory.path, predictions)
            found, status, code = fields, "completed", 0
        except Interrupted as stop:
            status, message, code = "interrupted", str(stop), stop.exit_code
        except KeyboardInterrupt:
            status, message, code = "interrupted", "stopped at once, in the middle of a step", 130
            lost = True
        except SystemExit:  # of submitit, whose job is preempted
            status, message, lost = "interrupted", "told to exit, as by a scheduler", True
            raise
        except Diverged as error:
            message = str(error)
        except UserError as error:
            message, lost = str(error), True
        except Exception as error:
            # Before others are asked: torchrun tells all to stop once one is gone.
            told = experiment.interruption.noted
            message, lost = f"{type(error).__name__}: {error}", True
            fault = disk_fault(error, directory.path, asked.command) or _fault_elsewhere(error)
            if told is not None and team.is_loss(error):  # all were told, and others have ended
                status, fault, code = "interrupted", str(told), told.exit_code
            if fault is None and not is_out_of_memory(error):
                raise
            message = fault or advice(experiment.config, experiment.device.type)
        finally:
            experiment.part()
            journal.close()
            results = results_of(asked, status, message, experiment, found)
            try:
                directory.write_results(results)
                if status == "completed":
                    log_results(tensorboard, experiment, measured, results)
                    experiment.log_extra(tensorboard, results)
                tensorboard.end(status)
            finally:
                tensorboard.close()
                if lost:
                    team.dismiss(lost=True)  # another rank may wait for this one, which has left
            console.ending(results, directory.path)
    told = experiment.interruption.noted  # while the end was recorded: a sweep is to stop
    return code if code or told is None else told.exit_code


def _fault_elsewhere(error: Exception) -> str | None:
    """What another rank of the run has met, if that is why this one fails."""
    found = team.current()
    return None if found is None else found.fault(error)
