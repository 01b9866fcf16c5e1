"""A trained model takes images as they are, in the forms that people have them in."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from gapfc.data.prepare import prepare_file
from gapfc.errors import UserError
from gapfc.heads import FC, GAP
from gapfc.records.inputs import Inputs
from gapfc.trained.images import ImageFile, find_images
from gapfc.trained.model import TrainedModel
from gapfc.trained.output import Csv, Tally
from gapfc.trained.predict import Prediction, predict

MEAN, STD = (0.5, 0.25, 0.125), (0.25, 0.5, 0.25)


def model(head=GAP, **changed) -> TrainedModel:
    """Pixels themselves are the features, of 8x6 images under two classes."""
    inputs = Inputs(**{"classes": ("a", "b"), "mean": MEAN, "std": STD, "size": (8, 6),
                       "image_size": (8, 6)} | changed)  # fmt: skip
    torch.manual_seed(0)
    made = head(feature_shape=(3, *inputs.size), num_classes=2)
    return TrainedModel(nn.Identity(), made, inputs)


def pixels(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def test_normalise_is_the_published_formula():
    image = pixels(2, 3, 5, 4)
    wanted = (image / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    torch.testing.assert_close(model().normalize(image), wanted)
    torch.testing.assert_close(model().normalize(image[0]), wanted[0])


@pytest.mark.parametrize("resampler", ["torch", "pillow"])
def test_all_forms_of_an_image_are_one(resampler):
    net = model(resampler=resampler)
    image = pixels(3, 20, 15)
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    logits = net(image)
    assert logits.shape == (1, 2)
    for given in (image[None], picture, [picture], [image]):
        torch.testing.assert_close(net(given), logits, rtol=0, atol=0)
    torch.testing.assert_close(net(net.normalize(net.prepare(picture))[None]), logits)
    assert net.prepare(picture).shape == (3, 8, 6)
    assert net.prepare(image[None]).shape == (1, 3, 8, 6)


@pytest.mark.parametrize("resampler", ["torch", "pillow"])
def test_grey_is_repeated(resampler):
    net = model(resampler=resampler)
    grey = pixels(1, 20, 15)
    wanted = net(grey.expand(3, -1, -1))
    torch.testing.assert_close(net(grey), wanted, rtol=0, atol=0)
    torch.testing.assert_close(net(Image.fromarray(grey[0].numpy())), wanted, rtol=0, atol=0)
    sixteen = Image.fromarray(grey[0].numpy().astype(np.uint16) * 257)
    torch.testing.assert_close(net(sixteen), wanted, rtol=0, atol=0)


def test_a_list_of_many_sizes_keeps_its_order():
    net = model(image_size=None, size_multiple=2)
    images = [pixels(3, *size, seed=n) for n, size in enumerate([(8, 6), (4, 10), (8, 6), (12, 2)])]
    together = net(images)
    torch.testing.assert_close(together, torch.cat([net(image) for image in images]))


def test_crop_keeps_the_centre_and_squash_all_of_it():
    image = torch.zeros(3, 8, 60, dtype=torch.uint8)
    image[:, :, 27:33] = 200
    assert model(resize="crop").prepare(image).eq(200).all()
    assert not model(resize="squash").prepare(image).eq(200).all()


def test_a_canvas_is_black_around_the_image():
    net = model(size=(12, 12), canvas=(12, 12))
    prepared = net.prepare(pixels(3, 8, 6).clamp(min=1))
    assert prepared.shape == (3, 12, 12)
    assert prepared[:, 2:10, 3:9].gt(0).all()
    assert int(prepared.gt(0).sum()) == 3 * 8 * 6


def test_floats_are_taken_as_they_are():
    images = torch.randn(4, 3, 9, 5)
    net = model()
    torch.testing.assert_close(net(images), net.head(images))
    with pytest.raises(UserError, match="accept"):
        model(FC)(images)
    assert model(FC)(pixels(4, 3, 9, 5)).shape == (4, 2)  # resized


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (torch.randn(3, 8, 6), r"float32 \[3, 8, 6\]"),
        (torch.randn(2, 1, 8, 6), r"float32 \[2, 1, 8, 6\]"),
        (pixels(4, 8, 6), r"uint8 \[4, 8, 6\]"),
        (pixels(8, 6), r"uint8 \[8, 6\]"),
        (pixels(0, 3, 8, 6), r"uint8 \[0, 3, 8, 6\]"),
        (torch.zeros(2, 3, 8, 6, dtype=torch.int64), r"int64 \[2, 3"),
        ([], "no image"),
        (["a.jpg"], "got str"),
        ([np.zeros((8, 6, 3))], r"got ndarray: PIL's Image.fromarray\(array\) makes"),
        (np.zeros((8, 6, 3)), "got ndarray: PIL's"),
        ("a.jpg", r"got str: PIL's Image.open\(path\) opens it"),
        ([Path("a.jpg")], r"got PosixPath: PIL's Image.open\(path\) opens it"),
        (Path("a.jpg"), "got PosixPath: PIL's"),
        (None, "got NoneType"),
    ],
)
def test_anything_else_is_refused_in_words(given, said):
    with pytest.raises(UserError, match=f"a model takes uint8 tensors.*{said}"):
        model()(given)


def test_a_size_that_no_memory_holds_is_refused_before_it_is_made(tmp_path):
    net = model(image_size=None, size_multiple=2**31 - 1)
    path = tmp_path / "a.png"
    Image.new("RGB", (6, 8)).save(path)
    for made in (lambda: prepare_file(str(path), net.inputs), lambda: net.prepare(pixels(3, 8, 6))):
        with pytest.raises(ValueError, match="2147483647×2147483647 pixels, which is too large"):
            made()


def test_too_little_memory_is_told(monkeypatch, tmp_path):
    net = model()
    path = tmp_path / "a.png"
    Image.new("RGB", (6, 8)).save(path)

    def full(prepared):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(net, "logits", full)
    with pytest.raises(UserError, match=r"a\.png: there is not enough memory on cpu for it"):
        list(predict(net, find_images([str(path)], net.classes)))


def test_a_table_on_a_terminal_is_words_and_in_a_file_the_names_themselves():
    seen = Prediction(ImageFile("=a\x1b[2J\n.png", ("a.png",)), ((1, 0.5),))
    for shown, path in ((True, "'=a\\x1b[2J\\n.png"), (False, '"\'=a\x1b[2J\n.png"')):
        out = io.BytesIO()
        Csv(out, ("\x1b]0;a\x07", "b"), 1, shown).add(seen)
        assert out.getvalue().decode() == f"{path},b,0.5,\n"


def test_images_without_a_finite_number_are_told():
    tally = Tally()
    for label, top in ((0, ()), (0, ((0, 0.75),)), (None, ())):
        tally.add(Prediction(ImageFile("a", ("a",), label), top))
    assert tally.accuracy == 0.5
    said = "The network gave no finite number for 2 images, which count as wrong"
    assert said in tally.lines(("a", "b"))
