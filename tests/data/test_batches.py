"""Batches: permutations, resuming, residency, sizes, normalisation."""

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pixels import denormalize, evaluation, loader, training

from gapfc.data.dataset import load
from gapfc.data.loader import Loader
from gapfc.data.order import BalancedOrder, FixedOrder, SizedOrder, epoch_generator
from gapfc.data.settings import LoaderSettings
from gapfc.errors import UserError

FIXED = ["dataset.image_size=[12,10]", "trainer.batch_size=8", "trainer.eval_batch_size=6"]


def same(first, second):
    first, second = list(first), list(second)
    assert len(first) == len(second) > 0
    for (images, labels), (others, other_labels) in zip(first, second, strict=True):
        assert torch.equal(images, others)
        assert torch.equal(labels, other_labels)
    return True


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 64), st.integers(0, 5), st.integers(0, 2**40))
def test_an_order_holds_every_image_once_but_for_the_dropped_batch(count, batch, epoch, seed):
    order = FixedOrder(count, batch)
    batches = order.batches(epoch_generator(seed, epoch))
    seen = torch.cat(batches)
    assert len(batches) == order.steps == max(count // batch, 1)
    assert len(seen.unique()) == len(seen)
    assert len(seen) > count - batch
    assert {len(numbers) for numbers in batches} == {min(batch, count)}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([(32, 32), (32, 64), (64, 32)]), min_size=1, max_size=80),
    st.integers(1, 20),
)
def test_a_sized_order_holds_all_images_in_batches_of_one_size(sizes, batch):
    order = SizedOrder(sizes, batch)
    batches = order.batches(epoch_generator(0, 0))
    assert sorted(torch.cat(batches).tolist()) == list(range(len(sizes)))
    assert all(len({sizes[i] for i in numbers.tolist()}) == 1 for numbers in batches)
    assert len(batches) == order.steps
    assert max(map(len, batches)) <= batch


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=120), st.integers(1, 40), st.integers(0, 99)
)
def test_a_balanced_order_holds_every_class_equally_often(labels, batch, seed):
    order, plain = BalancedOrder(torch.tensor(labels), batch), FixedOrder(len(labels), batch)
    batches = order.batches(epoch_generator(seed, 0))
    assert list(map(len, batches)) == list(map(len, plain.batches(epoch_generator(seed, 0))))
    assert len(batches) == order.steps
    drawn = torch.bincount(torch.cat(batches), minlength=len(labels)).tolist()
    by_class = {k: [n for n, label in zip(drawn, labels, strict=True) if label == k]
                for k in set(labels)}  # fmt: skip
    sums = [sum(each) for each in by_class.values()]
    assert max(sums) - min(sums) <= 1
    # Without replacement as far as there are images.
    assert all(max(each) - min(each) <= 1 for each in by_class.values())
    again = BalancedOrder(torch.tensor(labels), batch).batches(epoch_generator(seed, 0))
    assert torch.equal(torch.cat(batches), torch.cat(again))


def test_a_balanced_order_shows_every_image_of_a_frequent_class_in_time():
    labels = torch.tensor([0] * 90 + [1] * 10)
    order = BalancedOrder(labels, 10)
    seen = [torch.cat(order.batches(epoch_generator(0, epoch))) for epoch in range(8)]
    assert all(len(each.unique()) == 60 for each in seen)
    assert len(torch.cat(seen).unique()) == 100
    firsts = torch.stack([labels[each] for each in seen]).double().mean(0)
    assert firsts.std() < 0.3  # classes are spread over an epoch, not one after the other


@pytest.mark.parametrize("residency", ["device", "stream"])
def test_a_balanced_epoch_resumes_and_takes_its_labels_along(config, arrays, residency):
    dataset = arrays()
    labels = torch.tensor([0] * 40 + [1] * 7 + [2] * 3)
    dataset = replace(dataset, train=replace(dataset.train, labels=labels))
    settings = config(*FIXED, "augment=randaugment", "dataset.sampler=balanced",
                      "dataset.workers=0", f"dataset.residency={residency}")  # fmt: skip
    batches = training(dataset, settings, "cpu")
    whole = list(batches.epoch(2))
    assert torch.bincount(torch.cat([labels for _, labels in whole])).tolist() == [16, 16, 16]
    assert same(whole[4:], batches.epoch(2, start=4))
    plain = training(dataset, config(*FIXED, "augment=none", "dataset.sampler=balanced"))
    for images, found in plain.epoch(0):  # the first pixel is the image's number
        numbers = denormalize(images, dataset)[:, 0, 0, 0].long()
        assert torch.equal(labels[numbers], found)


def test_photos_of_many_sizes_have_no_balanced_order(config, tree):
    settings = config("dataset=folder", f"dataset.train_dir={tree}/train", "dataset.workers=0",
                      "dataset.image_size=native", "dataset.sampler=balanced")  # fmt: skip
    dataset = load(settings.dataset, settings.data_root)
    with pytest.raises(UserError, match=r"dataset\.sampler=balanced needs images of one size"):
        training(dataset, settings)


def test_seed_and_epoch_both_change_the_order():
    drawn = {
        tuple(torch.randperm(20, generator=epoch_generator(seed, epoch)).tolist())
        for seed in range(4)
        for epoch in range(4)
    }
    assert len(drawn) == 16


@pytest.mark.slow
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(epoch=st.integers(0, 3), start=st.integers(0, 5))
def test_a_resumed_epoch_is_the_tail_of_the_whole_one(config, arrays, epoch, start):
    batches = training(arrays(), config(*FIXED, "augment=cutout"), "cpu")
    assert batches.steps == 6
    assert same(list(batches.epoch(epoch))[start:], batches.epoch(epoch, start=start))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("size", ["[12,10]", "[17,9]"])
def test_streamed_arrays_equal_resident_ones(config, arrays, channels, workers, size):
    dataset = arrays(channels=channels)
    options = [*FIXED, f"dataset.image_size={size}", "augment=crop_flip", "augment.cutout=3"]
    resident = config(*options, "dataset.residency=device")
    streamed = config(*options, "dataset.residency=stream", f"dataset.workers={workers}")
    first = training(dataset, resident, "cpu")
    other = arrays(channels=channels)
    second = training(other, streamed, "cpu")
    for epoch in (0, 1):
        assert same(first.epoch(epoch), second.epoch(epoch))
    assert same(second.epoch(1, start=4), list(first.epoch(1))[4:])
    for split in ("train", "val", "test"):
        assert same(
            evaluation(dataset, split, resident, "cpu"),
            evaluation(other, split, streamed, "cpu"),
        )


@pytest.mark.parametrize("resize", ["squash", "crop"])
def test_streamed_photos_equal_resident_ones(config, tree, resize):
    options = [
        "dataset=folder",
        f"dataset.train_dir={tree}/train",
        "dataset.image_size=[24,28]",
        f"dataset.resize={resize}",
        "dataset.train_sizes=[16,[24,28]]",
        "trainer.batch_size=4",
        "augment.brightness=0.2",
    ]
    resident = config(*options, "dataset.residency=device")
    streamed = config(*options, "dataset.residency=stream", "dataset.workers=1")
    first, second = (load(c.dataset, ".") for c in (resident, streamed))
    ours = training(first, resident, "cpu")
    theirs = training(second, streamed, "cpu")
    for epoch, size in enumerate([(16, 16), (24, 28), (16, 16)]):
        assert same(ours.epoch(epoch), theirs.epoch(epoch))
        assert next(ours.epoch(epoch))[0].shape[2:] == size
    assert same(
        evaluation(first, "val", resident, "cpu"),
        evaluation(second, "val", streamed, "cpu"),
    )


def test_nothing_is_drawn_from_the_global_random_state(config, arrays):
    options = [*FIXED, "dataset.residency=stream", "augment=crop_flip"]
    state = torch.get_rng_state()
    list(training(arrays(), config(*options), "cpu").epoch(0))
    assert torch.equal(torch.get_rng_state(), state)


def test_images_keep_their_labels(config, arrays):
    dataset = arrays()
    for images, labels in training(dataset, config(*FIXED, "augment=none"), "cpu").epoch(2):
        pixels = denormalize(images, dataset)
        for image, label in zip(pixels, labels.tolist(), strict=True):
            number = int(image[0, 0, 0])
            assert number % 3 == label
            assert torch.equal(image[:1], dataset.train.images[number])


@pytest.mark.parametrize("channels_last", ["true", "false"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mean", ["0.5", "[0.1,0.5,0.7]"])
def test_normalisation_and_layout(config, arrays, channels, channels_last, mean):
    options = [*FIXED, f"trainer.channels_last={channels_last}"]
    dataset = replace(
        arrays(channels=channels),
        mean=(0.5,) * 3 if mean == "0.5" else (0.1, 0.5, 0.7),
        std=(0.2,) * 3 if mean == "0.5" else (0.2, 0.3, 0.4),
    )
    got = torch.cat([x for x, _ in evaluation(dataset, "val", config(*options), "cpu")])
    pixels = dataset.val.images.double().expand(-1, 3, -1, -1) / 255
    center = torch.tensor(dataset.mean, dtype=torch.float64).view(3, 1, 1)
    spread = torch.tensor(dataset.std, dtype=torch.float64).view(3, 1, 1)
    torch.testing.assert_close(got.double(), (pixels - center) / spread, atol=1e-6, rtol=1e-6)
    images, _ = next(training(dataset, config(*options), "cpu").epoch(0))
    layout = torch.channels_last if channels_last == "true" else torch.contiguous_format
    assert images.is_contiguous(memory_format=layout)
    assert images.dtype == torch.float32


def test_evaluation_covers_a_split_in_order_again_and_again(config, arrays):
    dataset = arrays()
    batches = evaluation(dataset, "train", config(*FIXED), "cpu")
    assert [len(labels) for _, labels in batches] == [6] * 8 + [2]
    assert same(batches, batches)
    assert torch.equal(torch.cat([labels for _, labels in batches]), dataset.train.labels)


def test_evaluation_at_another_size(config, arrays):
    dataset = arrays()
    batches = evaluation(dataset, "test", config(*FIXED), "cpu", size=(20, 24))
    assert {tuple(images.shape[1:]) for images, _ in batches} == {(3, 20, 24)}
    assert sum(len(labels) for _, labels in batches) == 15


def test_train_sizes_alternate_and_shrink_the_same_crop(config, arrays):
    options = [*FIXED, "augment=crop_flip", "seed=3"]
    sizes = "dataset.train_sizes=[6,[12,10]]"
    dataset = arrays()
    several = training(dataset, config(*options, sizes), "cpu")
    single = training(dataset, config(*options), "cpu")
    assert same(several.epoch(1), single.epoch(1))
    small, labels = next(several.epoch(0))
    large, large_labels = next(single.epoch(0))
    assert small.shape == (8, 3, 6, 6)
    assert torch.equal(labels, large_labels)
    expected = torch.nn.functional.interpolate(large, (6, 6), mode="bilinear", antialias=True)
    torch.testing.assert_close(small, expected, atol=0.51 / 255 / 0.25 + 1e-5, rtol=0)


def test_native_photos_come_whole_in_batches_of_one_size(config, tree):
    options = ["dataset=folder", f"dataset.train_dir={tree}/train", "augment=none"]
    exact = config(
        *options, "dataset.image_size=native", "dataset.size_multiple=1", "trainer.batch_size=3"
    )
    dataset = load(exact.dataset, ".")
    assert loader(dataset, exact).input_size in {(33, 47), (40, 56)}
    batches = training(dataset, exact, "cpu")
    epoch = list(batches.epoch(0))
    assert len(epoch) == batches.steps
    assert {tuple(images.shape[2:]) for images, _ in epoch} == {(33, 47), (40, 56)}
    assert sum(len(labels) for _, labels in epoch) == len(dataset.train)
    originals = {dataset.train.read(i).numpy().tobytes() for i in range(len(dataset.train))}
    seen = {x.contiguous().numpy().tobytes() for b, _ in epoch for x in denormalize(b, dataset)}
    assert seen == originals
    assert same(epoch[2:], batches.epoch(0, start=2))
    rounded = config(*options, "dataset.image_size=native", "dataset.max_size=40")
    shapes = {tuple(x.shape[2:]) for x, _ in training(dataset_of(rounded), rounded, "cpu").epoch(0)}
    assert shapes == {(32, 32)}


def dataset_of(configuration):
    return load(configuration.dataset, ".")


def test_native_arrays_stay_as_they_are(config):
    configuration = config("dataset=digits", "dataset.image_size=native")
    dataset = load(configuration.dataset, ".")
    assert loader(dataset, configuration).input_size == (8, 8)
    assert next(training(dataset, configuration, "cpu").epoch(0))[0].shape == (64, 3, 8, 8)


def test_a_batch_larger_than_the_set_is_the_whole_set(config, arrays):
    batches = training(arrays(10), config(*FIXED, "trainer.batch_size=64"), "cpu")
    ((images, _),) = batches.epoch(0)
    assert batches.steps == 1
    assert len(images) == 10


def test_preview_shows_augmented_pixels(config, arrays):
    dataset = arrays()
    batches = training(dataset, config(*FIXED, "augment=crop_flip"), "cpu")
    shown = batches.preview(11)
    assert shown.shape == (11, 3, 12, 10)
    assert 0 <= shown.min() < shown.max() <= 1
    first = denormalize(next(batches.epoch(0))[0], dataset)
    assert torch.equal((shown[:8] * 255).round().to(torch.uint8), first)


@pytest.mark.parametrize(("limit", "choice"), [(85 * 120, "device"), (85 * 120 - 1, "stream")])
def test_auto_residency_streams_what_is_too_large(
    config, arrays, monkeypatch, caplog, limit, choice
):
    caplog.set_level("INFO")
    monkeypatch.setattr("gapfc.data.loader.CPU_LIMIT", limit)
    images = loader(arrays(), config(*FIXED))
    images.training()
    images.evaluation("val")
    images.over(arrays()).evaluation("test")
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (choice == "stream")
    assert all(line.startswith("The images are read batch by batch, since 0 MiB") for line in said)
    assert images._keeps() == (choice == "device")


def test_a_split_is_read_once(config, arrays):
    images = loader(arrays(), config(*FIXED))
    first, second = (next(iter(images.evaluation("val"))) for _ in range(2))
    assert images.reader("val") is images.reader("val")
    assert torch.equal(first[0], second[0])


@pytest.mark.parametrize("residency", ["device", "stream"])
def test_evaluation_can_be_stopped_between_batches(config, arrays, residency):
    class Stopped(Exception):
        pass

    def check():
        raise Stopped

    chosen = LoaderSettings.of(config(*FIXED, f"dataset.residency={residency}"))
    batches = Loader(arrays(), chosen, torch.device("cpu"), check).evaluation("val")
    seen = iter(batches)
    next(seen)
    with pytest.raises(Stopped):
        next(seen)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("dataset.image_size=0", "dataset.image_size=0"),
        ("dataset.image_size=[3,4,5]", r"n or \[height, width\]"),
        ("dataset.image_size=big", "dataset.image_size=big"),
        ("dataset.train_sizes=[64]", "larger than dataset.image_size"),
        ("dataset.train_sizes=[0]", "dataset.train_sizes=0"),
        ("dataset.train_sizes=12", "takes a list"),
        ("dataset.residency=gpu", "auto, device or stream"),
        ("dataset.workers=-1", "dataset.workers takes auto, or a number"),
        ("trainer.batch_size=0", "trainer.batch_size takes a whole number of at least 1"),
        ("trainer.eval_batch_size=true", "trainer.eval_batch_size takes a whole number"),
        ("augment.flip=1", "augment.flip takes true or false"),
        ("+dataset.max_size=0", "dataset.max_size takes 1 or more pixels, or null"),
    ],
)
def test_bad_settings_are_named(config, arrays, setting, words):
    with pytest.raises(UserError, match=words):
        training(arrays(), config(*FIXED, setting), "cpu")


def test_train_sizes_and_native_exclude_each_other(config, arrays):
    bad = config("dataset.image_size=native", "dataset.train_sizes=[8]")
    with pytest.raises(UserError, match="native"):
        training(arrays(), bad, "cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("channels", [1, 3])
def test_cuda_gives_the_same_images_as_the_cpu(config, arrays, channels):
    options = [*FIXED, "augment=cutout", "augment.brightness=0.3", "augment.contrast=0.3"]
    options += ["augment.resized_crop=0.3"]
    expected = list(training(arrays(channels=channels), config(*options), "cpu").epoch(0))
    for residency in ("device", "stream"):
        configuration = config(*options, f"dataset.residency={residency}")
        got = training(arrays(channels=channels), configuration, "cuda").epoch(0)
        assert same(expected, [(images.cpu(), labels.cpu()) for images, labels in got])
