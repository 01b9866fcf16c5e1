"""Which weights a run ends with, how long it is, and that rare checkpoints cost nothing."""

import pytest
import torch
from omegaconf import OmegaConf
from statsmodels.stats.proportion import proportion_confint

from gapfc.engine import checkpoint, keeper
from gapfc.engine.settings import ENOUGH
from gapfc.errors import UserError
from gapfc.experiment.advice import advice, better_recipe
from gapfc.experiment.begin import _check_unfinished
from gapfc.experiment.execute import execute
from gapfc.experiment.experiment import Experiment
from gapfc.experiment.invocation import Invocation
from gapfc.experiment.journal import Journal
from gapfc.experiment.results import results_of
from gapfc.experiment.scores import measure
from gapfc.records.metrics_csv import read_rows
from gapfc.records.results import read_results
from gapfc.records.run import Run
from gapfc.records.run_directory import RunDirectory
from gapfc.settings.compose import Composer
from gapfc.settings.nodes import plain
from gapfc.system.interruption import Interrupted
from gapfc.tensorboard.events import TensorBoardLog

TINY = (
    "backbone.widths=[4,6]", "backbone.pool_after=[1]", "dataset.image_size=8", "head=gap",
    "dataset.train_limit=60", "dataset.test_limit=20", "dataset.val_fraction=0.05",
    "trainer.device=cpu", "trainer.precision=fp32", "trainer.batch_size=20", "optimizer.lr=0.02",
)  # fmt: skip


class Killed(BaseException):
    """As by SIGKILL: nothing that catches it writes anything."""


class Silence:
    """Writes metrics.csv alone, and may be killed after an epoch's row."""

    def __init__(self, directory, kill_at=None):
        self.journal = Journal(directory, TensorBoardLog(directory.path), 0, False)
        self.kill_at = kill_at

    def batch(self, epoch, done, total):
        pass

    def sample(self, step, scalars):
        pass

    def epoch(self, row, improved):
        self.journal.epoch(row, improved)
        if row["epoch"] == self.kill_at:
            raise Killed


def experiment(*settings):
    return Experiment(Composer([]).compose("train", [*TINY, *settings]))


def begin(folder, *settings, kill_at=None):
    """A new run; its experiment and directory."""
    made = experiment(f"output_root={folder}", *settings)
    directory = RunDirectory.create("train", plain(made.config))
    return made, directory, go_on(made, directory, kill_at)


def go_on(made, directory, kill_at=None):
    """Train; whether it came to its end."""
    try:
        made.fit(directory, Silence(directory, kill_at))
    except Killed:
        return False
    finally:
        directory.close()
    return True


def resume(path, *settings):
    made, directory = experiment(*settings), RunDirectory.resume(path)
    made.rewind(directory, made.restore(directory.checkpoints))
    return made, directory


def model(directory, name="best.pt"):
    return checkpoint.load(directory.checkpoints / name)["model"]


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def table(directory):
    times = ("seconds", "images_per_second")
    return [
        {n: v for n, v in row.items() if n not in times} for row in read_rows(directory.metrics)
    ]


@pytest.fixture
def rare(monkeypatch):
    """Checkpoints are written at the first epoch and at the last."""
    monkeypatch.setattr(keeper, "SHARE", 1e-9)


@pytest.mark.parametrize("final", ["best", "last"])
def test_killed_long_after_the_last_checkpoint_a_run_ends_as_undisturbed(tmp_path, rare, final):
    settings = ["trainer.epochs=8", f"trainer.final_weights={final}"]
    whole, undisturbed, _ = begin(tmp_path / "whole", *settings)
    _, directory, ended = begin(tmp_path / "killed", *settings, kill_at=7)
    assert not ended
    assert len(read_rows(directory.metrics)) == 7
    stored = checkpoint.load(directory.checkpoints / "last.pt")
    assert stored["progress"]["epoch"] == 1
    assert checkpoint.load(directory.checkpoints / "best.pt")["epoch"] == 1
    again, directory = resume(directory.path, *settings)
    assert len(read_rows(directory.metrics)) == 1
    assert go_on(again, directory)
    for name in ("best.pt", "last.pt"):
        assert equal(model(directory, name), model(undisturbed, name))
    assert table(directory) == table(undisturbed)
    assert again.weights_epoch == whole.weights_epoch


def test_killed_between_its_two_checkpoints_a_run_ends_as_undisturbed(tmp_path, rare, monkeypatch):
    settings = ["trainer.epochs=6", "trainer.final_weights=last"]
    _, undisturbed, _ = begin(tmp_path / "whole", *settings)
    write = checkpoint.save_last

    def killed(folder, state):
        if state["progress"]["epoch"] == 6:
            raise Killed
        write(folder, state)

    monkeypatch.setattr(checkpoint, "save_last", killed)
    _, directory, ended = begin(tmp_path / "killed", *settings)
    monkeypatch.undo()
    assert not ended
    assert checkpoint.load(directory.checkpoints / "best.pt")["epoch"] == 6
    # best.pt is ahead of last.pt. With fewer epochs, it would never be what the run ends with.
    shorter, directory = resume(directory.path, "trainer.epochs=6", "trainer.final_weights=last")
    shorter.training.progress.epoch = 5
    with pytest.raises(UserError, match=r"best\.pt holds the weights of epoch 6, and the run ends"):
        shorter.load_best(directory)
    directory.close()
    again, directory = resume(directory.path, *settings)
    assert go_on(again, directory)
    again.load_best(directory)
    assert equal(model(directory), model(undisturbed))
    assert table(directory) == table(undisturbed)


def test_a_best_checkpoint_from_before_is_refused(tmp_path, rare):
    made, directory, _ = begin(tmp_path, "trainer.epochs=5")
    assert made.weights_epoch > 1
    best = directory.checkpoints / "best.pt"
    checkpoint.save(best, checkpoint.load(best) | {"epoch": 1})
    with pytest.raises(UserError, match=r"best\.pt is of epoch 1\. It held the weights of epoch"):
        resume(directory.path, "trainer.epochs=5")


@pytest.mark.parametrize("epoch", ["3", -1, True, 0])
def test_a_best_checkpoint_that_says_nonsense_is_refused(tmp_path, epoch):
    _, directory, _ = begin(tmp_path, "trainer.epochs=1")
    best = directory.checkpoints / "best.pt"
    checkpoint.save(best, checkpoint.load(best) | {"epoch": epoch})
    with pytest.raises(UserError, match=r"best\.pt: epoch takes a whole number"):
        resume(directory.path, "trainer.epochs=1")


# The rate rises and rises: the best epoch is not the last.
WORSE = ("optimizer=sgd", "optimizer.lr=3.0", "schedule=constant", "schedule.warmup_epochs=8")


@pytest.mark.parametrize("final", ["best", "last"])
def test_the_weights_that_are_judged_are_in_best_pt(tmp_path, final):
    settings = [*WORSE, "trainer.epochs=8", f"trainer.final_weights={final}"]
    made, directory, _ = begin(tmp_path, *settings)
    progress = made.training.progress
    assert progress.best_epoch < progress.epoch == 8
    made.load_best(directory)
    scores, _ = measure(made)
    row = progress.history[(progress.best_epoch if final == "best" else 8) - 1]
    assert scores["val"]["accuracy"] == row["val_accuracy"]
    assert scores["val"]["nll"] == pytest.approx(row["val_loss"])
    assert equal(model(directory), model(directory, "last.pt")) == (final == "last")
    results = results_of(Invocation("train", made.config, [], None), "interrupted", "", made)
    assert results["best_epoch"] == progress.best_epoch
    assert results["weights_epoch"] == (progress.best_epoch if final == "best" else 8)


def test_the_last_weights_are_those_after_early_stopping_and_after_more_epochs(tmp_path):
    settings = ["trainer.final_weights=last", "trainer.early_stopping=2", *WORSE]
    made, directory, _ = begin(tmp_path, *settings, "trainer.epochs=30")
    progress = made.training.progress
    assert progress.epoch == progress.best_epoch + 2 < 30
    assert checkpoint.load(directory.checkpoints / "best.pt")["epoch"] == progress.epoch
    settings = ["trainer.final_weights=last"]
    _, directory, _ = begin(tmp_path / "more", *settings, "trainer.epochs=2")
    longer, directory = resume(directory.path, *settings, "trainer.epochs=4")
    assert go_on(longer, directory)
    longer.load_best(directory)
    assert longer.weights_epoch == 4
    assert equal(model(directory), model(directory, "last.pt"))


def test_the_weights_of_the_last_epoch_are_kept_when_interrupted_in_the_next(tmp_path, rare):
    """best.pt holds the end of an epoch, last.pt the middle of one."""
    made = experiment(f"output_root={tmp_path}", "trainer.epochs=9", "trainer.final_weights=last")
    directory = RunDirectory.create("train", plain(made.config))
    progress = made.training.progress

    def interrupted(most=None):
        if (progress.epoch, progress.batch) == (3, 1):
            raise Interrupted(2)

    made.interruption.check = interrupted
    with pytest.raises(Interrupted):
        made.fit(directory, Silence(directory))
    directory.close()
    stored = checkpoint.load(directory.checkpoints / "last.pt")["progress"]
    assert (stored["epoch"], stored["batch"]) == (3, 1)
    assert checkpoint.load(directory.checkpoints / "best.pt")["epoch"] == 3
    assert not equal(model(directory), model(directory, "last.pt"))


@pytest.mark.parametrize(("images", "epochs"), [(60, 30), (300, 10), (1000, 5)])
def test_epochs_follow_the_number_of_images(images, epochs):
    made = experiment("trainer.epochs=auto", f"dataset.train_limit={images}")
    assert made.settings.epochs == epochs
    assert made.config.trainer.epochs == "auto"
    assert f"  epochs    {epochs}, for {images:,} training images (trainer.epochs=auto)" in advice(
        made
    )


def test_a_warm_up_longer_than_auto_is_refused_once_the_images_are_counted():
    with pytest.raises(UserError, match=r"warmup_epochs=6 is more than trainer\.epochs=5"):
        experiment("trainer.epochs=auto", "dataset.train_limit=1200", "schedule.warmup_epochs=6")


@pytest.mark.parametrize(
    ("given", "done", "message"),
    [
        ("auto", 30, "is complete: 30 epochs. trainer.epochs=60 would train it on"),
        ("auto", 12, "early stopping ended it after 12 epochs"),
        (12, 12, None),
    ],
)
def test_a_complete_run_of_auto_epochs_is_known_as_such(given, done, message, tmp_path):
    results = {"epochs": done, "status": "completed"}
    before = Run(tmp_path, "completed", results=results, config={"trainer": {"epochs": given}})
    made = experiment("trainer.epochs=auto")
    if message is None:
        return _check_unfinished(before, made)
    with pytest.raises(UserError, match=message):
        _check_unfinished(before, made)
    return None


@pytest.mark.parametrize(("val", "final"), [("0.2", "last"), ("0.3", "best")])
def test_few_validation_images_do_not_choose(val, final):
    made = experiment("trainer.final_weights=auto", f"dataset.val_fraction={val}")
    assert (len(made.dataset.val) >= ENOUGH) == (final == "best")
    assert made.settings.final_weights == final
    words = f"  weights   of the {final} epoch, for {len(made.dataset.val)} validation images"
    assert words in advice(made)


SQUEEZE = ("backbone=squeezenet1_1", "backbone.weights=w.pth")


@pytest.mark.parametrize(
    ("settings", "recipe"),
    [
        (SQUEEZE, "finetune"),
        ((*SQUEEZE, "backbone.trainable=last"), "finetune"),
        ((*SQUEEZE, "backbone.trainable=none"), "frozen"),
        ((*SQUEEZE, "optimizer=sgd"), "finetune"),
        ((*SQUEEZE, "optimizer.lr=1e-4"), None),
        ((*SQUEEZE, "head.lr_multiplier=10"), None),
        ((*SQUEEZE, "+recipe=finetune"), None),
        (("backbone=squeezenet1_1",), None),
        ((), None),
    ],
)
def test_a_pretrained_backbone_at_the_usual_rate_is_told_of_a_recipe(settings, recipe):
    config = Composer([]).compose("train", list(settings))
    assert better_recipe(OmegaConf.to_container(config)) == recipe


def test_the_advice_is_short():
    made = experiment("trainer.epochs=1")
    assert advice(made) == []
    made.config.backbone = {**made.config.backbone, "weights": "w.pth"}
    made.config.optimizer.lr = 1e-3
    why, what = advice(made)
    assert why == "  advice    pretrained, at the rate of training from scratch:"
    assert what == "            recipe=finetune"


def test_a_recipe_is_for_pretrained_features_and_for_adamw():
    made = experiment("+recipe=finetune", "trainer.epochs=1", "optimizer=sgd")
    assert [line[12:] for line in advice(made)][-3:] == [
        "a recipe is for pretrained features, and these are random:",
        "backbone=resnet18 backbone.weights=DEFAULT, or a file",
        "the rates of a recipe are for optimizer=adamw",
    ]


def test_a_schedule_free_optimizer_is_told_of_the_constant_schedule():
    pytest.importorskip("schedulefree", reason="needs the package schedulefree")
    free = ("optimizer=custom", "optimizer._target_=schedulefree.AdamWScheduleFree")
    assert advice(experiment(*free)) == [
        "  advice    AdamWScheduleFree needs no falling rate: schedule=constant"
    ]
    assert advice(experiment(*free, "schedule=constant")) == []


def test_views_of_images_that_nothing_changes_are_told():
    still = ("augment=none", "augment.views=4")
    assert advice(experiment(*still)) == [
        "  advice    augment.views=4 does nothing: augment draws nothing"
    ]
    assert advice(experiment("augment=crop_flip", "augment.views=4")) == []


@pytest.mark.parametrize(("images", "said"), [(20, True), (300, False)])
def test_how_sure_an_accuracy_of_few_test_images_is(tmp_path, caplog, images, said):
    limits = [f"dataset.test_limit={images}", "trainer.epochs=1", f"output_root={tmp_path}"]
    made = experiment(*limits)
    directory = RunDirectory.create("train", plain(made.config))
    with caplog.at_level("INFO", "gapfc"):
        assert execute(Invocation("train", made.config, []), made, directory) == 0
    right = read_results(directory.path)["test"]["accuracy"] * images
    low, high = proportion_confint(right, images, method="wilson")
    told = f"20 test images: 95% interval of the accuracy {100 * low:.1f} to {100 * high:.1f}%"
    assert (told in caplog.text) == ("interval of the accuracy" in caplog.text) == said
