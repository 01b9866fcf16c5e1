"""A signal while images are only looked at: the run stops there, says so, and can be resumed."""

import errno
import signal

import pytest
import torch

from gapfc.experiment.begin import resume
from gapfc.experiment.execute import execute
from gapfc.experiment.experiment import Experiment
from gapfc.experiment.invocation import Invocation
from gapfc.experiment.results import results_of
from gapfc.records.predictions import PREDICTIONS, read_predictions
from gapfc.records.results import read_results
from gapfc.settings.compose import Composer
from gapfc.settings.trust import Vouched
from gapfc.transfer.experiment import Transfer
from gapfc.transfer.source import Source, complete

MODEL = ["backbone.widths=[4,8]", "backbone.pool_after=[1,2]", "head=gap"]
TINY = [
    "dataset.image_size=8",
    "dataset.train_limit=64",
    "dataset.test_limit=32",
    "dataset.val_fraction=0.03",
    "trainer.batch_size=16",
    "trainer.eval_batch_size=16",
    "trainer.epochs=1",
    "trainer.device=cpu",
    "trainer.precision=fp32",
    "trainer.progress=false",
    "augment=none",
]
TRAIN, VAL = 4, 3  # batches of a pass


@pytest.fixture(autouse=True)
def as_before():
    """Experiments switch deterministic algorithms for the whole process."""
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def begin(tmp_path):
    """`begin(None)` or `begin(protocol)`: an invocation, and how to build its experiment."""
    composer = Composer([])

    def make(protocol):
        options = [*TINY, f"output_root={tmp_path}"]
        config = composer.compose("train", [*MODEL, *options])
        if protocol is None:
            return Invocation("train", config, options), Experiment
        facts = dict.fromkeys(("path", "test_accuracy"), None)
        facts |= {"group": "g", "dataset": "digits", "head": "gap"}
        source = Source(facts, config, Experiment(config).model.state_dict())
        options += [f"protocol={protocol}", "source=somewhere", "cka_images=16"]
        asked = Invocation(
            "transfer", complete(composer.compose("transfer", options), source), options
        )
        return asked, lambda completed: Transfer(completed, source)

    return make


def carry_out(asked, build, stop_at=None, number=signal.SIGTERM):
    """Exit code, results and passed batches; `number` comes with the `stop_at`-th of these."""
    experiment = build(asked.config)
    passed = []

    def count(module, arguments):
        if not module.training:
            passed.append(len(arguments[0]))
            if len(passed) == stop_at:
                signal.raise_signal(number)

    experiment.model.head.register_forward_pre_hook(count)  # which also maps of a frozen part pass
    directory = asked.new_directory()
    code = execute(asked, experiment, directory)
    return code, directory.path, len(passed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("protocol", "stop_at", "number"),
    [
        pytest.param(None, 2, signal.SIGINT, id="validation of an epoch"),
        pytest.param(None, VAL + 1, signal.SIGTERM, id="final measuring"),
        pytest.param(None, VAL + TRAIN + VAL + 1, signal.SIGINT, id="test images"),
        pytest.param("linear_probe", 2, signal.SIGTERM, id="features"),
        pytest.param("linear_probe", TRAIN + VAL + 2, signal.SIGINT, id="validation of a probe"),
        pytest.param("lp_ft", TRAIN + VAL + VAL + 2, signal.SIGTERM, id="final measuring of both"),
    ],
)
def test_a_signal_stops_between_batches_and_resume_completes(begin, protocol, stop_at, number):
    asked, build = begin(protocol)
    code, whole, passed = carry_out(asked, build)
    assert (code, read_results(whole)["status"]) == (0, "completed")
    assert passed > stop_at
    code, path, passed = carry_out(asked, build, stop_at, number)
    assert code == 128 + number
    assert passed == stop_at
    results = read_results(path)
    assert results["status"] == "interrupted"
    assert results["error"] == f"interrupted by {number.name}"
    assert results["test"] is None
    assert not (path / PREDICTIONS).exists()
    assert resume(asked.command, str(path), [], build, Vouched()) == 0
    results = read_results(path)
    assert results["status"] == "completed"
    for key in ("train", "val", "test", "steps", "best_epoch"):
        assert results[key] == read_results(whole)[key], key
    assert (path / PREDICTIONS).read_bytes() == (whole / PREDICTIONS).read_bytes()


@pytest.mark.parametrize("stop_at", [None, 2])
def test_while_an_end_is_recorded_signals_wait(begin, monkeypatch, stop_at):
    def record(*arguments):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
        return results_of(*arguments)

    monkeypatch.setattr("gapfc.experiment.execute.results_of", record)
    code, path, _ = carry_out(*begin(None), stop_at, signal.SIGINT)
    # A sweep is to stop behind a run that was completed.
    ends = {None: (130, "completed", None), 2: (130, "interrupted", "interrupted by SIGINT")}
    results = read_results(path)
    assert (code, results["status"], results["error"]) == ends[stop_at]


def test_a_second_ctrl_c_ends_at_once_and_is_recorded(begin, monkeypatch):
    def step(*arguments):
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Experiment, "train", step)
    code, path, _ = carry_out(*begin(None))
    results = read_results(path)
    assert (code, results["status"]) == (130, "interrupted")
    assert results["error"] == "stopped at once, in the middle of a step"


@pytest.mark.parametrize("protocol", [None, "linear_probe"])
def test_a_disk_that_is_full_for_predictions_is_told_and_resume_completes(
    begin, protocol, monkeypatch
):
    def full(folder, predictions):
        raise OSError(errno.ENOSPC, "No space left on device", str(folder / PREDICTIONS))

    asked, build = begin(protocol)
    with monkeypatch.context() as patch:
        patch.setattr("gapfc.experiment.execute.write_predictions", full)
        code, path, _ = carry_out(asked, build)
    results = read_results(path)
    assert (code, results["status"], results["test"]) == (1, "failed", None)
    where = f"{path / PREDICTIONS} cannot be written: No space left on device"
    assert results["error"].startswith(where)
    assert f"gapfc {asked.command} resume={path}" in results["error"]
    assert resume(asked.command, str(path), [], build, Vouched()) == 0
    said, results = read_predictions(path), read_results(path)
    assert len(said) == 32
    assert said.right.mean() == results["test"]["accuracy"]


def test_a_job_that_its_scheduler_takes_back_is_interrupted_and_resume_completes(
    begin, monkeypatch
):
    def preempted(self, directory, journal):
        raise SystemExit(-1)

    asked, build = begin(None)
    experiment, directory = build(asked.config), asked.new_directory()
    with monkeypatch.context() as patch:
        patch.setattr(Experiment, "fit", preempted)
        with pytest.raises(SystemExit):
            execute(asked, experiment, directory)
    results = read_results(directory.path)
    assert results["status"] == "interrupted"
    assert results["error"] == "told to exit, as by a scheduler"
    assert resume(asked.command, str(directory.path), [], build, Vouched()) == 0
    assert read_results(directory.path)["status"] == "completed"
