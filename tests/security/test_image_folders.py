"""Folders of images from strangers: links, what is no file, bombs, copies, damaged files."""

import contextlib
import logging
import os
import socket
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from gapfc.data import duplicates, photo
from gapfc.data.dataset import load
from gapfc.data.duplicates import identical
from gapfc.data.photo import UNREADABLE, decode, header_size
from gapfc.errors import UserError

# Pytest sets aside the filters of gapfc.data.photo.
pytestmark = [
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:PIL"),
]


@pytest.fixture
def tree(tmp_path):
    """{train,val}/{cat,dog}: 8 and 4 PNG photos of each class, all different."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 8), ("val", 4)):
        for name in ("cat", "dog"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 256, (8, 9, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / part / name / f"{number}.png")
    return tmp_path


def read(tree, **settings):
    node = {
        "name": "folder",
        "_target_": "gapfc.data.sources.folder.folder",
        "train_dir": str(tree / "train"),
        "image_size": 8,
        "val_fraction": 0.25,
        "test_fraction": 0.25,
        "split_seed": 0,
        "check_headers": True,
        **settings,
    }
    return load(OmegaConf.create(node), tree)


def numbers(dataset):
    return [len(split) for split in (dataset.train, dataset.val, dataset.test)]


def test_a_link_upwards_is_not_entered(tree, caplog):
    before = read(tree)
    (tree / "train" / "cat" / "up").symlink_to("..")
    (tree / "train" / "cat" / "further_up").symlink_to(tree.parent)
    (tree / "train" / "cat" / "itself").symlink_to(".")
    after = read(tree)
    assert numbers(after) == numbers(before) == [8, 4, 4]
    assert after.train.paths == before.train.paths
    assert "Left out 3 links to folders that are read already" in caplog.text


def test_links_out_of_the_folder_are_followed_once_and_said(tree, tmp_path_factory, caplog):
    away = tmp_path_factory.mktemp("away")
    (tree / "val" / "cat").rename(away / "cat")
    (tree / "train" / "cat" / "more").symlink_to(away / "cat")
    (tree / "train" / "cat" / "again").symlink_to(away / "cat")
    with caplog.at_level(logging.INFO):
        dataset = read(tree)
    assert sum(numbers(dataset)) == 20
    (said,) = [record for record in caplog.messages if "out of the data set" in record]
    assert said.startswith("Followed 2 links out of the data set: ")
    assert said.endswith("cat/again and 1 more")
    assert "Left out 1 link to folders that are read already" in caplog.text


def test_a_class_may_be_a_link(tree, tmp_path_factory):
    away = tmp_path_factory.mktemp("away")
    (tree / "train" / "cat").rename(away / "cat")
    (tree / "train" / "cat").symlink_to(away / "cat")
    dataset = read(tree)
    assert dataset.classes == ("cat", "dog")
    assert sum(numbers(dataset)) == 16


@pytest.mark.parametrize("link", ["emu", "dog/more", "cat/more"])
def test_no_folder_is_in_two_classes(tree, link):
    (tree / "train" / link).symlink_to(tree / "train" / ("dog" if link[0] == "c" else "cat"))
    with pytest.raises(UserError, match=r"are the same folder, in two classes"):
        read(tree)


@pytest.mark.parametrize("setting", ["val_dir", "test_dir"])
def test_no_folder_is_in_two_dirs(tree, setting):
    (tree / "alias").symlink_to("train")
    for name in ("train", "alias"):
        with pytest.raises(UserError, match=f"in both dataset.train_dir and dataset.{setting}"):
            read(tree, **{setting: str(tree / name)})
    (tree / "val" / "cat" / "more").symlink_to(tree / "train" / "cat")
    with pytest.raises(UserError, match=f"in both dataset.train_dir and dataset.{setting}"):
        read(tree, **{setting: str(tree / "val")})


def test_a_dir_inside_a_class_of_another_is_refused(tree):
    (tree / "val").rename(tree / "train" / "cat" / "val")
    with pytest.raises(UserError, match="images would be read twice"):
        read(tree, val_dir=str(tree / "train" / "cat" / "val"))


def test_broken_links_are_named(tree, caplog):
    (tree / "train" / "cat" / "folder").symlink_to("nowhere")
    (tree / "train" / "cat" / "loop").symlink_to("loop")
    read(tree)
    assert "Found 2 links that lead nowhere" in caplog.text
    (tree / "train" / "cat" / "x.png").symlink_to("nowhere")
    with pytest.raises(UserError, match=r"1 unreadable.*x\.png \(No such file or directory\)"):
        read(tree)
    (tree / "train" / "emu").symlink_to("nowhere")
    with pytest.raises(UserError, match="emu is a broken link"):
        read(tree)


def test_a_folder_that_cannot_be_read_is_no_empty_folder(tree, monkeypatch):
    closed, scandir = tree / "train" / "cat" / "closed", os.scandir
    closed.mkdir()

    def guarded(path):
        if str(path) == str(closed):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)  # root may read everything
    with pytest.raises(UserError, match=r"closed cannot be read: Permission denied"):
        read(tree)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
def test_only_regular_files_are_opened(tree, kind, caplog, monkeypatch):
    monkeypatch.chdir(tree)  # a socket's name is short
    path = "train/cat/x.png"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
    else:
        os.symlink("/dev/zero", path)
    with pytest.raises(UserError, match=r"1 unreadable.*x\.png \(not a regular file\)"):
        read(tree)
    assert sum(numbers(read(tree, skip_corrupt=True))) == 16
    assert "x.png (not a regular file)" in caplog.text
    unchecked = read(tree, check_headers=False, test_fraction=0.001, val_fraction=0.001)
    splits = (unchecked.train, unchecked.val, unchecked.test)
    (split,) = (split for split in splits if any("x.png" in path for path in split.paths))
    index = next(number for number, path in enumerate(split.paths) if "x.png" in path)
    with pytest.raises(UserError, match=r"x\.png \(not a regular file\)"):
        split.read(index)


def bomb(path, width, height):
    """A PNG of some 100 bytes whose header says width x height."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (11, 10), (2**31 - 1, 1)])
def test_more_pixels_than_allowed_are_never_decoded(tree, width, height, monkeypatch):
    bomb(tree / "train" / "cat" / "x.png", width, height)
    most = 100
    words = rf"x\.png \({width * height} pixels, more than dataset\.max_pixels={most}\)"
    with pytest.raises(UserError, match=words):
        read(tree, max_pixels=most)
    assert sum(numbers(read(tree, max_pixels=most, skip_corrupt=True))) == 16
    monkeypatch.setattr(Image.Image, "load", None)
    with pytest.raises(OSError, match=r"dataset\.max_pixels=100"):
        decode(str(tree / "train" / "cat" / "x.png"), max_pixels=most)


def test_the_default_limit_refuses_a_bomb_at_once(tmp_path):
    bomb(tmp_path / "x.png", 60_000, 60_000)
    tracemalloc.start()
    began = time.monotonic()
    with pytest.raises(OSError, match=r"3600000000 pixels, .*max_pixels=178956970"):
        decode(str(tmp_path / "x.png"))
    assert time.monotonic() - began < 5
    assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("suffix", ["jpg", "gif", "webp", "tif", "bmp", "ppm"])
def test_the_limit_holds_for_every_format_and_is_exact(tmp_path, suffix):
    path = str(tmp_path / f"x.{suffix}")
    Image.new("RGB", (10, 12)).save(path)
    assert header_size(path, 120) == (12, 10)
    assert decode(path, (4, 4), max_pixels=120).shape == (3, 4, 4)
    before = Image.MAX_IMAGE_PIXELS
    for reader in (header_size, decode):
        with pytest.raises(OSError, match=r"120 pixels, more than dataset\.max_pixels=118"):
            reader(path, max_pixels=118)
    assert before == Image.MAX_IMAGE_PIXELS  # what else the process opens with Pillow


def test_threads_of_two_limits_wait_for_each_other_and_leave_pillow_its_own(tmp_path):
    path = str(tmp_path / "x.png")
    Image.new("RGB", (10, 12)).save(path)
    before = Image.MAX_IMAGE_PIXELS

    def look(most):
        try:
            return header_size(path, most)
        except OSError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(look, [120, 50] * 200))
    assert set(found[::2]) == {(12, 10)}
    assert set(found[1::2]) == {"120 pixels, more than dataset.max_pixels=50"}
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("left", [0.1, 0.5, 0.97])
@pytest.mark.parametrize("suffix", ["jpg", "mpo", "png", "gif", "webp", "tif", "bmp", "ppm"])
def test_a_file_that_is_cut_short_is_found_with_the_headers(tmp_path, suffix, left):
    path = tmp_path / f"x.{suffix}"
    noise = [
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 30, 3), np.uint8))
        for seed in range(2)
    ]
    more = {"save_all": True, "append_images": noise[1:]} if suffix == "mpo" else {}
    noise[0].save(path, **more)
    assert header_size(str(path)) == (40, 30)
    whole = path.read_bytes()
    path.write_bytes(whole + b"a camera's own")  # behind the end
    assert header_size(str(path)) == (40, 30)
    path.write_bytes(whole[: int(len(whole) * left)])
    if suffix == "mpo" and left > 0.5:
        return  # the second picture alone is cut
    with pytest.raises(UNREADABLE):
        header_size(str(path))


@pytest.mark.parametrize("value", [None, 0, -1, 1.5, True, "many"])
def test_max_pixels_takes_whole_numbers(tree, value):
    with pytest.raises(UserError, match=r"dataset\.max_pixels takes a whole number of at l"):
        read(tree, max_pixels=value)


def test_identical_files_in_two_classes_and_two_splits_are_named(tree, caplog):
    copy = (tree / "train" / "cat" / "1.png").read_bytes()
    (tree / "train" / "dog" / "copy.png").write_bytes(copy)
    for number in range(4):
        copy = (tree / "train" / "dog" / f"{number}.png").read_bytes()
        (tree / "val" / "dog" / f"copy{number}.png").write_bytes(copy)
    read(tree, test_dir=str(tree / "val"), val_fraction=0.01)
    classes, splits = (text for text in caplog.messages if "of the same content" in text)
    assert classes.startswith("2 files of the same content stand in two classes")
    assert "/train/cat/1.png" in classes
    assert "/train/dog/copy.png" in classes
    assert "in two of train, val, test, so that the scores flatter: " in splits
    assert "copy0.png" in splits
    assert "copy3.png" not in splits
    assert splits.endswith(" more.")
    caplog.clear()
    read(tree, test_dir=str(tree / "val"), check_headers=False)
    assert "same content" not in caplog.text


def test_copies_are_found_on_both_sides_of_a_split_that_gapfc_makes(tree, caplog):
    for number in range(8):
        copy = (tree / "train" / "cat" / f"{number}.png").read_bytes()
        (tree / "train" / "cat" / f"copy{number}.png").write_bytes(copy)
    read(tree)
    (said,) = [text for text in caplog.messages if "of the same content" in text]
    assert "in two of train, val, test" in said


def test_only_equal_sizes_are_opened_and_only_equal_beginnings_read_whole(tmp_path, monkeypatch):
    start = b"x" * duplicates.BLOCK
    contents = [b"a", b"b", b"ccc", start + b"1", start + b"2", start + b"1", b"", b"", b"b"]
    paths = []
    for number, content in enumerate(contents):
        paths.append(str(tmp_path / str(number)))
        (tmp_path / str(number)).write_bytes(content)
    paths.append(str(tmp_path / "absent"))
    opened = []
    beginning = duplicates._beginning
    monkeypatch.setattr(
        duplicates, "_beginning", lambda path: opened.append(path) or beginning(path)
    )
    assert sorted(identical(paths)) == [[1, 8], [3, 5], [6, 7]]
    assert str(tmp_path / "2") not in opened


ODD = {
    "empty.png": (b"", "not an image"),
    "text.png": (b"just words", "not an image"),
    # Pillow would start Ghostscript for it
    "post.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "not an"),
}


@pytest.mark.parametrize("name", sorted(ODD))
def test_what_is_no_photo_is_named(tree, name):
    content, reason = ODD[name]
    (tree / "train" / "cat" / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name} \({reason}"):
        read(tree)


def test_a_huge_text_in_a_png_is_unreadable(tmp_path):
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("comment", "a" * 3_000_000, zip=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png", pnginfo=text)
    with pytest.raises(photo.UNREADABLE):
        header_size(str(tmp_path / "x.png"))


def test_damaged_metadata_leave_a_photo_readable(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "text"
    Image.new("RGB", (10, 12)).save(tmp_path / "x.jpg", exif=exif)
    whole = (tmp_path / "x.jpg").read_bytes()
    readable = 0
    for position in range(12, whole.index(b"\xff\xdb")):  # every byte of the EXIF segment
        damaged = bytearray(whole)
        damaged[position] ^= 0x7F
        (tmp_path / "y.jpg").write_bytes(damaged)
        with contextlib.suppress(*photo.UNREADABLE):
            readable += decode(str(tmp_path / "y.jpg")).shape[0] == 3
    assert readable > 30


@pytest.mark.slow
def test_pillows_warnings_stay_off_the_terminal(tmp_path):
    """In a process of its own: pytest has its own filters of warnings."""
    Image.new("RGB", (10, 12)).save(tmp_path / "x.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09")
    program = (
        "from gapfc.data.photo import decode\n"
        "print(*decode('x.jpg', max_pixels=200).shape, flush=True)\n"
        "decode('x.jpg', max_pixels=100)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "3 12 10\n"
    assert "Warning" not in done.stderr
    assert done.stderr.endswith("OSError: 120 pixels, more than dataset.max_pixels=100\n")


def test_a_float_photo_with_holes(tmp_path, recwarn):
    pixels = np.array([[np.nan, 1.0], [0.0, 0.5]], np.float32)
    Image.fromarray(pixels).save(tmp_path / "x.tif")
    assert decode(str(tmp_path / "x.tif"))[0].tolist() == [[0, 255], [0, 128]]
    assert not recwarn.list
