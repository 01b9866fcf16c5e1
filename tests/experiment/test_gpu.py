"""What only a CUDA device can show: repeatable heads, precisions, resident data, resume."""

import csv

import pytest
import torch

from gapfc.experiment.execute import execute
from gapfc.experiment.experiment import Experiment
from gapfc.experiment.invocation import Invocation
from gapfc.records.metrics_csv import append_row
from gapfc.records.results import read_results
from gapfc.records.run_directory import RunDirectory
from gapfc.settings.compose import Composer
from gapfc.system.interruption import Interrupted

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

COMPOSER = Composer([])
HEADS = COMPOSER.groups()["head"]
TINY = [
    "backbone.widths=[8,8,16,16]",
    "backbone.pool_after=[1,2]",
    "dataset.image_size=12",
    "dataset.train_limit=256",
    "dataset.test_limit=100",
    "trainer.device=cuda",
    "trainer.precision=fp32",
    "trainer.batch_size=32",
    "trainer.epochs=2",
    "trainer.progress=false",
    "augment=cutout",
]
TIMES = ("images_per_second", "seconds")


@pytest.fixture(autouse=True)
def as_before():
    """Experiments switch deterministic algorithms for the whole process."""
    yield
    torch.use_deterministic_algorithms(False)


def config(folder, *overrides):
    return COMPOSER.compose("train", [*TINY, f"output_root={folder}", *overrides])


def train(folder, *overrides):
    """Experiment, results, weights of best.pt and untimed rows of a run that must complete."""
    chosen = config(folder, *overrides)
    experiment = Experiment(chosen)
    asked = Invocation("train", chosen, list(overrides))
    directory = asked.new_directory()
    assert execute(asked, experiment, directory) == 0
    return experiment, *outcome(directory.path)


def outcome(path):
    with (path / "metrics.csv").open() as file:
        rows = [{k: v for k, v in r.items() if k not in TIMES} for r in csv.DictReader(file)]
    weights = torch.load(path / "checkpoints/last.pt", weights_only=True)["model"]
    return read_results(path), weights, rows


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("head", HEADS)
def test_every_head_repeats_bit_for_bit_under_deterministic_algorithms(head, tmp_path):
    first = train(tmp_path, f"head={head}")
    assert torch.are_deterministic_algorithms_enabled()
    second = train(tmp_path, f"head={head}")
    assert first[1]["status"] == "completed"
    assert first[1]["device"] == "cuda"
    assert first[1]["peak_memory_bytes"] > 0
    assert first[3] == second[3]
    assert equal(first[2], second[2])
    for split in ("train", "val", "test"):
        assert first[1][split] == second[1][split]


def test_two_sizes_in_training_and_test_repeat_bit_for_bit(tmp_path):
    options = ["head=spp", "dataset.train_sizes=[12,[8,12]]", "dataset.eval_sizes=[8,[12,20]]"]
    first, second = train(tmp_path, *options), train(tmp_path, *options)
    assert first[3] == second[3]
    assert equal(first[2], second[2])
    assert first[1]["test_at_size"] == second[1]["test_at_size"]


def test_resident_data_live_on_the_device_and_never_leave_it(tmp_path):
    experiment = Experiment(config(tmp_path, "dataset.residency=device"))
    before = torch.cuda.memory_allocated()
    for images, labels in experiment.batches.epoch(0):
        assert images.device.type == labels.device.type == "cuda"
        assert images.dtype == torch.float32
        assert images.is_contiguous(memory_format=torch.channels_last)
    del images, labels
    assert torch.cuda.memory_allocated() - before < 2**20
    held = experiment.loader._readers.values()
    assert all(reader.images.is_cuda and reader.images.dtype == torch.uint8 for reader in held)


def test_the_device_and_the_processor_train_on_the_same_images(tmp_path):
    options = ["augment=cutout", "augment.translate=0.2", "augment.brightness=0.3"]
    on_cuda = Experiment(config(tmp_path, *options)).batches.epoch(3)
    on_cpu = Experiment(config(tmp_path, *options, "trainer.device=cpu")).batches.epoch(3)
    for (images, labels), (cpu_images, cpu_labels) in zip(on_cuda, on_cpu, strict=True):
        assert torch.equal(labels.cpu(), cpu_labels)
        torch.testing.assert_close(images.cpu(), cpu_images, rtol=1e-5, atol=1e-5)


def test_streamed_and_resident_batches_are_the_same_on_the_device(tmp_path):
    resident = Experiment(config(tmp_path, "dataset.residency=device")).batches.epoch(2)
    streamed = Experiment(config(tmp_path, "dataset.residency=stream")).batches.epoch(2)
    for (images, labels), (other_images, other_labels) in zip(resident, streamed, strict=True):
        assert torch.equal(images, other_images)
        assert torch.equal(labels, other_labels)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_as_fp32_does(precision, tmp_path):
    options = ["trainer.epochs=6", "dataset.train_limit=null"]
    reference = train(tmp_path, *options)[1]
    experiment, results, weights, _ = train(tmp_path, *options, f"trainer.precision={precision}")
    assert results["precision"] == precision
    assert all(v.dtype == torch.float32 for v in weights.values() if v.is_floating_point())
    with experiment.precision.autocast():
        images = torch.zeros(2, 3, 12, 12, device="cuda")
        assert experiment.model(images).dtype in (torch.bfloat16, torch.float16)
    assert results["val"]["accuracy"] == pytest.approx(reference["val"]["accuracy"], abs=0.15)
    scaler = experiment.training.scaler
    assert scaler.is_enabled() == (precision == "fp16")
    if precision == "fp16":
        assert scaler.get_scale() > 1


def test_auto_picks_what_the_device_multiplies_itself(tmp_path):
    precision = Experiment(config(tmp_path, "trainer.precision=auto")).precision
    native = torch.cuda.is_bf16_supported(including_emulation=False)
    assert precision.name == ("bf16" if native else "fp32")


def test_compiled_and_plain_training_agree(tmp_path):
    pytest.importorskip("triton", reason="torch.compile on CUDA needs triton")
    options = ["trainer.epochs=1", "trainer.deterministic=false"]
    plain = train(tmp_path, *options)[3]
    compiled = train(tmp_path, *options, "trainer.compile=true")[3]
    loss, compiled_loss = (float(rows[0]["train_loss"]) for rows in (plain, compiled))
    assert compiled_loss == pytest.approx(loss, rel=0.02)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_interrupted_and_resumed_equals_uninterrupted(precision, tmp_path):
    options = [f"trainer.precision={precision}", "trainer.epochs=3", "head.dropout=0.3"]
    options += ["trainer.ema=0.9", "augment.mixup=0.2"]
    _, _, weights, rows = train(tmp_path / "whole", *options)

    chosen = config(tmp_path / "parts", *options)
    first = Experiment(chosen)
    asked = Invocation("train", chosen, options)
    directory = asked.new_directory()
    listener, path = Rows(directory), directory.path

    def check():
        if first.training.progress.step == 11:  # in the middle of the second epoch
            raise Interrupted(2)

    first.interruption.check = check
    with pytest.raises(Interrupted):
        first.fit(directory, listener)
    directory.close()
    torch.manual_seed(99)
    second = Experiment(chosen)
    directory = RunDirectory.resume(path)
    second.rewind(directory, second.restore(directory.checkpoints))
    assert execute(asked, second, directory) == 0
    _, resumed_weights, resumed_rows = outcome(path)
    assert resumed_rows == rows
    assert equal(resumed_weights, weights)


class Rows:
    """Writes epochs to metrics.csv and nothing else."""

    def __init__(self, directory):
        self._directory = directory

    def batch(self, epoch, done, total):
        pass

    def sample(self, step, scalars):
        pass

    def epoch(self, row, improved):
        append_row(self._directory.metrics, row)


def test_out_of_memory_names_the_batch_size_and_what_to_try(tmp_path):
    chosen = config(tmp_path)
    experiment = Experiment(chosen)
    asked = Invocation("train", chosen, [])
    directory = asked.new_directory()

    class Hungry:
        steps = 1
        preview = experiment.batches.preview

        def epoch(self, epoch, start=0):
            # Asked of the allocator at once, refused at once: the card is not filled.
            yield torch.empty(2**50, dtype=torch.uint8, device="cuda"), None

    experiment.feed.training = Hungry()
    assert execute(asked, experiment, directory) == 1
    error = read_results(directory.path)["error"]
    assert "Out of memory on cuda at trainer.batch_size=32" in error
    assert "trainer.accumulate=2" in error
