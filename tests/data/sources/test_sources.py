"""Sources: what is read, split, chosen, and what is said when it is not there."""

import gzip
import shutil
import struct
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from gapfc.data import splits
from gapfc.data.arrays import Arrays
from gapfc.data.dataset import channel_statistics, load
from gapfc.data.files import Files
from gapfc.data.sources import digits as digits_source
from gapfc.data.sources import torchvision_sets
from gapfc.data.sources.cifar_binary import cifar10, cifar100
from gapfc.data.sources.torchvision_sets import SETS
from gapfc.errors import UserError


def digits(config, *overrides):
    return load(config("dataset=digits", *overrides).dataset, "nowhere")


def test_digits_are_split_once_and_whole(config):
    dataset = digits(config)
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (1295, 143, 359)
    assert dataset.num_classes == 10
    images = [split.images for split in (dataset.train, dataset.val, dataset.test)]
    ours = sorted(image.numpy().tobytes() for image in torch.cat(images))
    pixels = (load_digits().data * 255 / 16).round().astype(np.uint8)
    assert ours == sorted(row.tobytes() for row in pixels)
    values = dataset.train.images.double() / 255
    assert dataset.mean == pytest.approx([float(values.mean())] * 3)
    assert dataset.std == pytest.approx([float(values.std(correction=0))] * 3)


@pytest.mark.parametrize("moved", [False, True])
def test_digits_are_those_of_scikit_learn(moved, monkeypatch):
    if moved:  # its file is not where it was
        monkeypatch.setattr(digits_source, "find_spec", lambda name: None)
    pixels, labels = digits_source._read()
    expected, classes = load_digits(return_X_y=True)
    assert (pixels.dtype, labels.dtype) == (expected.dtype, classes.dtype)
    assert np.array_equal(pixels, expected)
    assert np.array_equal(labels, classes)


def test_split_seed_alone_moves_images_between_splits(config):
    first, again = digits(config), digits(config, "seed=5")
    other = digits(config, "dataset.split_seed=1")
    assert torch.equal(first.test.images, again.test.images)
    assert not torch.equal(first.test.images, other.test.images)
    wider = digits(config, "dataset.val_fraction=0.2")
    assert torch.equal(first.test.images, wider.test.images)


def test_statistics_of_each_colour():
    images = torch.randint(0, 256, (30, 3, 5, 7), dtype=torch.uint8)
    mean, std = channel_statistics(images)
    assert mean == pytest.approx((images.double() / 255).mean(dim=(0, 2, 3)).tolist())
    flat = (images.double() / 255).transpose(0, 1).flatten(1)
    assert std == pytest.approx(flat.std(dim=1, correction=0).tolist())
    assert channel_statistics(torch.zeros(2, 1, 3, 3, dtype=torch.uint8)) == ((0,) * 3, (1,) * 3)


def test_mean_and_std_may_be_given(config):
    dataset = digits(config, "dataset.mean=0.5", "dataset.std=[0.1,0.2,0.3]")
    assert dataset.mean == (0.5, 0.5, 0.5)
    assert dataset.std == (0.1, 0.2, 0.3)


def test_classes_are_picked_and_renumbered_in_the_order_given(config):
    dataset = digits(config, "dataset.classes=[7,'3']")
    everything = digits(config)
    assert dataset.classes == ("7", "3")
    for label, digit in enumerate((7, 3)):
        count = sum((split.labels == digit).sum() for split in parts(everything))
        assert sum((split.labels == label).sum() for split in parts(dataset)) == count
    sevens = {image.numpy().tobytes() for image in load_images(everything, 7)}
    assert {image.numpy().tobytes() for image in load_images(dataset, 0)} == sevens


def parts(dataset):
    return (dataset.train, dataset.val, dataset.test)


def load_images(dataset, label):
    return [image for split in parts(dataset) for image in split.images[split.labels == label]]


def test_shots_give_as_many_of_each_class_and_nest(config):
    few, more = (digits(config, f"dataset.shots={n}") for n in (3, 10))
    assert few.train.labels.bincount().tolist() == [3] * 10
    assert len(few.val) == 143
    assert len(few.test) == 359
    images = {image.numpy().tobytes() for image in more.train.images}
    assert {image.numpy().tobytes() for image in few.train.images} <= images


def test_limits_take_the_first_of_a_shuffle(config):
    small, larger = (digits(config, f"dataset.train_limit={n}") for n in (50, 80))
    assert torch.equal(larger.train.images[:50], small.train.images)
    assert len(small.train.labels.unique()) == 10
    assert len(digits(config, "dataset.test_limit=17").test) == 17
    everything, few = digits(config), digits(config, "dataset.val_limit=17")
    assert torch.equal(few.val.images, digits(config, "dataset.val_limit=40").val.images[:17])
    assert set(few.val.places.tolist()) < set(everything.val.places.tolist())
    assert torch.equal(few.train.images, everything.train.images)  # none is trained on instead
    assert torch.equal(few.test.images, everything.test.images)
    assert len(digits(config, "dataset.train_limit=99999").train) == 1295


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(2, 40), min_size=1, max_size=6), st.floats(0.01, 0.99), st.integers(0, 99)
)
def test_stratified_holds_out_the_share_of_each_class(counts, fraction, seed):
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate(counts)])
    names = [str(label) for label in range(len(counts))]
    kept, held = splits.stratified(labels, fraction, seed, 0, names, "x")
    assert sorted([*kept.tolist(), *held.tolist()]) == list(range(len(labels)))
    for label, count in enumerate(counts):
        number = int((labels[held] == label).sum())
        assert 1 <= number <= count - 1
        assert abs(number - count * fraction) <= 1


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("classes=[cat]", "'cat'.*Classes: 0, 1, 2"),
        ("classes=[1,1]", "'1' twice"),
        ("classes=[10]", "dataset.classes has 10"),
        ("classes=[]", "empty"),
        ("classes=3", "takes a list"),
        ("shots=0", "dataset.shots takes 1 or more, or null for all images; got 0"),
        ("shots=500", "dataset.shots=500 is more than the 1.. training images of class '0'"),
        ("train_limit=0", "dataset.train_limit takes 1 or more, or null"),
        ("val_limit=0", "dataset.val_limit takes 1 or more, or null"),
        ("test_limit=-1", "dataset.test_limit takes 1 or more, or null"),
        ("val_fraction=1", "dataset.val_fraction takes a number above 0 and below 1; got 1"),
        ("val_fraction=-0.1", "dataset.val_fraction takes a number above 0"),
        ("test_fraction=1.5", "dataset.test_fraction takes a number above 0"),
        ("std=0", "above 0"),
        ("mean=[1,2]", "one number or three"),
    ],
)
def test_bad_settings_are_named(config, setting, words):
    with pytest.raises(UserError, match=words):
        digits(config, f"dataset.{setting}")


def test_a_class_too_small_to_split_is_named():
    with pytest.raises(UserError, match=r"'b' has 1 image.*dataset.val_fraction"):
        splits.stratified(torch.tensor([0, 0, 1]), 0.1, 0, 0, "ab", "dataset.val_fraction")
    with pytest.raises(UserError, match=r"'a' has 1 image, and is the only one. .* second class"):
        splits.stratified(torch.tensor([0]), 0.1, 0, 0, "a", "dataset.val_fraction")


def write_idx(path, array):
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + array.tobytes())


def write_mnist(folder, prefix=("train", "t10k"), name="{}-{}-idx{}-ubyte"):
    random = np.random.default_rng(0)
    written = []
    for part, count in zip(prefix, (60, 20), strict=True):
        images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        write_idx(folder / name.format(part, "images", 3), images)
        write_idx(folder / name.format(part, "labels", 1), labels)
        written.append((images, labels))
    return written


def test_mnist_files_are_read_as_they_are(config, tmp_path):
    (_, _), (images, labels) = write_mnist(tmp_path / "FashionMNIST" / "raw")
    dataset = load(config("dataset=fashion_mnist").dataset, tmp_path)
    assert (len(dataset.train), len(dataset.val)) == (50, 10)
    assert np.array_equal(dataset.test.images[:, 0].numpy(), images)
    assert np.array_equal(dataset.test.labels.numpy(), labels)
    assert dataset.classes[9] == "Ankle boot"


def test_emnist_pictures_stand_upright(config, tmp_path):
    raw = tmp_path / "EMNIST" / "raw"
    _, (images, _) = write_mnist(raw, ("train", "test"), "emnist-balanced-{}-{}-idx{}-ubyte")
    dataset = load(config("dataset=emnist").dataset, tmp_path)
    assert np.array_equal(dataset.test.images[:, 0].numpy(), images.transpose(0, 2, 1))
    assert dataset.classes[:3] == ("0", "1", "2")


@pytest.mark.parametrize("kind", ["cifar10", "cifar100"])
def test_cifar_binary_version(config, tmp_path, kind):
    read, folder, labels, classes, files, names = {
        "cifar10": (
            cifar10,
            "cifar-10-batches-bin",
            1,
            10,
            [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"],
            "batches.meta.txt",
        ),
        "cifar100": (
            cifar100, "cifar-100-binary", 2, 100, ["train.bin", "test.bin"], "fine_label_names.txt"
        ),
    }[kind]  # fmt: skip
    place = tmp_path / folder
    place.mkdir()
    (place / names).write_text("\n".join(f"name{n}" for n in range(classes)) + "\n\n")
    random = np.random.default_rng(0)
    written = []
    for file in files:
        records = random.integers(0, classes, (8, labels + 3072), dtype=np.uint8)
        (place / file).write_bytes(records.tobytes())
        written.append(records)
    source = read(tmp_path)
    assert source.classes[3] == "name3"
    train = np.concatenate(written[:-1])
    assert np.array_equal(source.train.labels.numpy(), train[:, labels - 1])
    # row 2, column 5 of the green channel: after the labels and the 1,024 red pixels
    assert np.array_equal(
        source.train.images[:, 1, 2, 5].numpy(), train[:, labels + 1024 + 2 * 32 + 5]
    )
    assert np.array_equal(source.test.labels.numpy(), written[-1][:, labels - 1])
    (place / files[-1]).write_bytes(b"short")
    with pytest.raises(UserError, match=rf"{files[-1]} is cut short"):
        read(tmp_path)
    (place / files[-1]).unlink()
    with pytest.raises(UserError, match=rf"{files[-1]} .* is missing"):
        read(tmp_path)


@pytest.mark.parametrize("name", sorted(SETS))
def test_missing_and_no_network_is_one_message_and_leaves_nothing(
    config, tmp_path, monkeypatch, name
):
    def unreachable(*_args, **_kwargs):
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    monkeypatch.setattr("torchvision.datasets.utils.urllib.request.urlopen", unreachable)
    with pytest.raises(UserError) as caught:
        load(config(f"dataset={name}").dataset, tmp_path)
    message = str(caught.value)
    assert f"dataset={name} is missing" in message
    assert str(tmp_path) in message
    assert "data_root" in message
    assert len(message.splitlines()) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def serve():
    servers = []

    def start(folder):
        handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[0].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[0].server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_download_moves_into_place_only_when_it_is_whole(config, tmp_path, monkeypatch, serve):
    """torchvision's own download, from a server on this machine."""
    network = tmp_path / "network"
    write_mnist(network)
    for file in list(network.iterdir()):
        with file.open("rb") as plain, gzip.open(f"{file}.gz", "wb") as packed:
            shutil.copyfileobj(plain, packed)
    kind = torchvision_sets.datasets.FashionMNIST
    monkeypatch.setattr(kind, "mirrors", [serve(network)])
    resources = [(name, None) for name, _ in kind.resources]
    root = tmp_path / "data"
    monkeypatch.setattr(kind, "resources", [*resources[:2], ("lost.gz", None)])
    with pytest.raises(UserError, match="downloading it failed"):
        load(config("dataset=fashion_mnist").dataset, root)
    assert list(root.iterdir()) == []
    monkeypatch.setattr(kind, "resources", resources)
    dataset = load(config("dataset=fashion_mnist").dataset, root)
    assert len(dataset.test) == 20
    assert [path.name for path in root.iterdir()] == ["FashionMNIST"]


def test_a_data_sets_augmentation_is_a_default_that_others_override(config):
    assert config("dataset=digits").augment.name == "shift"
    assert config("dataset=cifar10").augment.name == "crop_flip"
    assert config("dataset=folder").augment.name == "photo"
    assert config("dataset=folder", "augment=none").augment.name == "none"
    assert config("augment=none", "dataset=folder").augment.name == "none"
    assert config("dataset=cifar10", "augment.flip=false").augment.flip is False


@pytest.mark.parametrize("name", [*SETS, "digits", "synthetic_shapes", "folder", "imagenet"])
def test_every_preset_composes_and_names_itself(config, name):
    composed = config(f"dataset={name}")
    assert composed.dataset.name == name
    assert composed.augment.mixup == 0


def test_mnist_itself(config, data_root):
    dataset = load(config("dataset=mnist").dataset, data_root("MNIST"))
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (54001, 5999, 10000)
    assert dataset.test.labels[:8].tolist() == [7, 2, 1, 0, 4, 1, 4, 9]
    assert dataset.mean[0] == pytest.approx(0.1307, abs=0.0005)
    assert dataset.std[0] == pytest.approx(0.3081, abs=0.0005)


def test_cifar10_itself(config, data_root):
    dataset = load(config("dataset=cifar10").dataset, data_root("cifar-10-batches-bin"))
    assert dataset.classes[:2] == ("airplane", "automobile")
    assert dataset.test.labels[:5].tolist() == [3, 8, 8, 0, 6]
    assert dataset.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=0.002)


def test_hymenoptera_itself(config, data_root):
    root = data_root("hymenoptera")
    options = ["dataset.train_dir=hymenoptera/train", "dataset.val_dir=hymenoptera/val"]
    dataset = load(config("dataset=folder", *options).dataset, root)
    assert dataset.classes == ("ants", "bees")
    assert (len(dataset.train), len(dataset.val), dataset.test) == (244, 153, None)
    assert isinstance(dataset.train, Files)
    assert not isinstance(dataset.train, Arrays)
