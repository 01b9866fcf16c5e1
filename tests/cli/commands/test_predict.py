"""`gapfc predict` as a user runs it: what is told, what is written, what is left alone."""

import csv
import json
import os
import shutil
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from processes import run, start, until

import gapfc
from gapfc.measure.wilson import wilson
from gapfc.trained.images import find_images


def predict(folder, *arguments):
    return run("predict", *map(str, arguments), folder=folder)


def lines_of(out):
    """The lines about images, in cells."""
    return [line.split() for line in out.split("\n\n")[0].splitlines()]


@pytest.fixture
def model(photos_run):
    return gapfc.load(photos_run)


def test_a_line_for_each_image_and_the_accuracy_of_a_labelled_folder(
    photos_run, photos, model, tmp_path
):
    code, out, err = predict(tmp_path, photos_run, photos, "--top", 2)
    assert code == 0, err
    files = find_images([str(photos)], model.classes)
    with torch.inference_mode():
        wanted = model([Image.open(file.path) for file in files]).softmax(1).numpy()
    lines = lines_of(out)
    assert [line[0] for line in lines] == [file.path for file in files]
    for line, probabilities in zip(lines, wanted, strict=True):
        first = int(probabilities.argmax())
        assert line[1] == model.classes[first]
        assert line[2] == f"{probabilities[first]:.1%}"
        assert line[3:] == [model.classes[1 - first], f"{probabilities[1 - first]:.1%}"]
    right = sum(name == file.parts[0] for file, (_, name, *_) in zip(files, lines, strict=True))
    low, high = wilson(right / 24, 24)
    assert (
        f"Accuracy {right / 24:.1%} on 24 images in folders named after a class; 95% interval "
        f"[{100 * low:.1f}, {100 * high:.1f}]\n"
        "These include images that it was trained on: its test accuracy is "
    ) in out


def test_json_and_csv_say_the_same(photos_run, photos, model, tmp_path):
    code, out, err = predict(tmp_path, photos_run, photos, "--json", "--csv", "all.csv", "--top", 9)
    assert code == 0, err
    found = json.loads(out)
    assert found["classes"] == list(model.classes)
    assert found["accuracy"]["images"] == 24
    assert found["accuracy"]["low"] < found["accuracy"]["value"] < found["accuracy"]["high"]
    assert "Accuracy" in err
    with (tmp_path / "all.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "class", "probability", "class_2", "probability_2", "label"]
    for row, image in zip(rows, found["images"], strict=True):
        assert (row["path"], row["class"], row["label"]) == (
            image["path"], image["class"], image["label"]
        )  # fmt: skip
        assert float(row["probability"]) == image["probability"] == image["top"][0]["probability"]
        assert sum(each["probability"] for each in image["top"]) == pytest.approx(1)


def test_images_that_are_not_its_own_need_no_caution(photos_run, photos, tmp_path):
    shutil.copytree(photos, tmp_path / "others")
    code, out, err = predict(tmp_path, photos_run, "others")
    assert code == 0, err
    assert "Accuracy" in out
    assert "trained on" not in out


def test_broken_files_are_named_and_skipped(photos_run, photos, tmp_path):
    folder = tmp_path / "mixed"
    (folder / "deep").mkdir(parents=True)
    shutil.copy(photos / "discs" / "01.jpg", folder / "deep" / "good.jpg")
    shutil.copy(photos / "discs" / "01.jpg", folder / ".hidden.jpg")
    shutil.copy(photos / "discs" / "01.jpg", folder / "notes.txt")
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "gone.jpg").symlink_to("nowhere")
    (folder / "up").symlink_to("..")
    os.mkfifo(folder / "pipe.jpg")
    header = b"P6 60000 60000 255\n"
    (folder / "bomb.ppm").write_bytes(header + b"\0" * 100)
    code, out, err = predict(tmp_path, photos_run, "mixed", "--json")
    found = json.loads(out)
    assert code == 0
    assert [image["path"] for image in found["images"]] == ["mixed/deep/good.jpg"]
    assert found["images"][0]["label"] is found["accuracy"] is None
    reasons = {skipped["path"]: skipped["reason"] for skipped in found["skipped"]}
    assert reasons == {
        "mixed/bomb.ppm": "3600000000 pixels, more than dataset.max_pixels=178956970",
        "mixed/broken.png": "not an image",
        "mixed/gone.jpg": "No such file or directory",
        "mixed/pipe.jpg": "not a regular file",
    }
    assert "Skipped mixed/broken.png: not an image" in err
    assert "Skipped 4 files that could not be read" in err
    code, out, err = predict(tmp_path, photos_run, "mixed/broken.png")
    assert (code, out.strip()) == (1, "Skipped 1 file that could not be read")


def test_what_is_not_there_is_skipped_as_what_cannot_be_read(photos_run, photos, tmp_path):
    given = ("a.jpg", photos / "discs" / "01.jpg", "b.jpg")
    code, out, err = predict(tmp_path, photos_run, *given)
    assert code == 0
    assert [line[0] for line in lines_of(out)] == [str(photos / "discs" / "01.jpg")]
    assert [line for line in err.splitlines() if line.startswith("Skipped")] == [
        "Skipped a.jpg: No such file or directory", "Skipped b.jpg: No such file or directory"
    ]  # fmt: skip
    assert "Skipped 2 files that could not be read" in out
    (tmp_path / "broken.png").write_bytes(b"no image")
    code, out, _ = predict(tmp_path, photos_run, "broken.png", "a.jpg")
    assert (code, out.strip()) == (1, "Skipped 2 files that could not be read")


def test_names_from_strangers_are_harmless(photos_run, photos, tmp_path):
    name = "=cmd\x1b[31m\n.jpg"
    shutil.copy(photos / "discs" / "01.jpg", tmp_path / name)
    bad = b"caf\xe9.jpg"
    shutil.copy(photos / "discs" / "01.jpg", os.fsencode(tmp_path) + b"/" + bad)
    code, out, err = predict(tmp_path, photos_run, tmp_path, "--csv", "all.csv")
    assert code == 0, err
    code, out, _ = predict(tmp_path, photos_run, tmp_path)
    assert "\x1b" not in out
    assert "caf\\udce9.jpg" in out
    with (tmp_path / "all.csv").open(newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    assert paths == [f"{tmp_path}/{name}", f"{tmp_path}/caf\\udce9.jpg"]
    code, out, _ = predict(tmp_path, photos_run, name, "--csv", "-")
    assert f'"\'{name}"' in out


def test_maps_at_the_size_of_the_photo_without_touching_it(photos_run, photos, tmp_path):
    shutil.copytree(photos, tmp_path / "photos")
    before = {path: path.read_bytes() for path in (tmp_path / "photos").rglob("*.*")}
    for _ in range(2):  # maps of before are no photos, and are drawn anew
        code, out, err = predict(tmp_path, photos_run, "photos", "--cam", "photos")
        assert code == 0, err
        assert "Wrote 24 maps to photos" in out
    made = set((tmp_path / "photos").rglob("*.*")) - before.keys()
    assert {path: path.read_bytes() for path in before} == before
    assert made == {path.with_name(f"{path.name}.cam.png") for path in before}
    with Image.open(tmp_path / "photos/discs/02.jpg.cam.png") as image:
        assert image.width == 480  # 240 pixels, enlarged to more than 256
        assert 320 < image.height < 420
        colours = np.asarray(image.convert("RGB"))[:320]
    middle, edge = colours[:, 200:280], colours[:, :10]
    assert np.ptp(middle.astype(int), axis=2).max() > 60
    assert np.ptp(edge.astype(int), axis=2).max() == 0  # cut off by dataset.resize=crop


def test_maps_in_a_stranger_s_folder_stay_in_it(photos_run, photos, tmp_path):
    """As names of maps it has a link to a file of the user's, and a pipe; and a link out of it."""
    folder, mine = tmp_path / "photos", tmp_path / "mine.txt"
    folder.mkdir()
    mine.write_text("precious")
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(photos / "discs" / "01.jpg", folder / name)
    (folder / "a.jpg.cam.png").symlink_to(mine)
    os.mkfifo(folder / "b.jpg.cam.png")
    code, out, err = predict(tmp_path, photos_run, "photos", "--cam", "photos")
    assert code == 0, err
    assert "Wrote 2 maps to photos" in out
    for name in ("a", "b"):
        with Image.open(folder / f"{name}.jpg.cam.png") as image:
            assert image.width >= 240
    (folder / "out").symlink_to(photos)
    code, _, err = predict(tmp_path, photos_run, "photos", "--cam", "photos")
    assert code == 2
    assert "--cam photos: photos/out/discs lies behind a link that leads out of it" in err
    assert not list(photos.glob("**/*.cam.png"))
    assert mine.read_text() == "precious"


def test_a_table_is_not_written_over_what_it_is_about(photos_run, photos, tmp_path):
    run_copy = tmp_path / "run"
    shutil.copytree(photos_run, run_copy)
    shutil.copy(photos / "discs" / "01.jpg", tmp_path / "scan.img")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for table, said in (
        ("run/metrics.csv", "run/metrics.csv belongs to the run in that folder"),
        ("scan.img", "--csv scan.img: that is the name of an image"),
    ):
        code, _, err = predict(tmp_path, run_copy, "scan.img", "--csv", table)
        assert code == 2
        assert said in err
    assert {path: path.read_bytes() for path in before} == before


def test_images_of_one_name_get_two_maps(photos_run, photos, tmp_path):
    one, two = photos / "discs" / "01.jpg", photos / "squares" / "01.jpg"
    code, _, err = predict(tmp_path, photos_run, one, two, one, "--cam", "maps")
    assert code == 0, err
    names = sorted(path.name for path in (tmp_path / "maps").iterdir())
    assert names == ["01.jpg-2.cam.png", "01.jpg.cam.png"]


@pytest.mark.slow
def test_a_map_of_a_single_place_is_refused_before_anything_runs(tmp_path):
    from whole_runs import train

    tiny = train(tmp_path, "dataset.image_size=2", "dataset.train_limit=40", "trainer.epochs=1")
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    code, out, err = predict(tmp_path, tiny, "a.png", "--cam", "maps")
    assert (code, out) == (2, "")
    assert "single place for 2×2 pixels" in err
    assert not (tmp_path / "maps").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "a run, then images"),
        (["nowhere"], "nowhere: there is no such file or folder"),
        (["a.jpg", "b.jpg"], "a.jpg, b.jpg: there is no such file or folder"),
        (["-"], "-: there is no such file or folder"),
        ([""], "the name of an image is empty"),
        (["empty"], "empty has no images (.jpg"),
        (["a.png", "--top", "0"], "--top takes a whole number of at least 1"),
        (["a.png", "trust=maybe"], "trust takes true or false"),
        (["a.png", "head=gap"], "head=gap: there is no such file, and gapfc predict takes no s"),
        (["a.png", "trainer.device=tpu"], "trainer.device takes auto, cpu or cuda"),
        (["a.png", "--csv", "a.png"], "--csv a.png: that is the name of an image"),
        (["a.png", "--csv", "nowhere/a.csv"], "is in no folder that exists"),
        (["a.png", "--csv", "/dev/full"], "--csv /dev/full cannot be written: No space left"),
        (["a.png", "--csv", "-", "--json"], "both print to standard output"),
        (["a.png", "--cam", "a.png"], "--cam a.png: no folder can be made there: it is a file"),
    ],
)
def test_errors_are_for_people(photos_run, tmp_path, arguments, said):
    Image.new("RGB", (30, 40)).save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    (tmp_path / "empty").mkdir()
    code, _, err = predict(tmp_path, photos_run, *arguments)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert (tmp_path / "a.png").read_bytes() == before


@pytest.mark.slow
def test_ctrl_c_keeps_whole_rows(photos_run, tmp_path):
    Image.new("RGB", (2000, 1500)).save(tmp_path / "0.png")
    for number in range(1, 2000):
        os.link(tmp_path / "0.png", tmp_path / f"{number}.png")
    command = start("predict", str(photos_run), ".", "--csv", "all.csv", folder=tmp_path)
    until(lambda: list(tmp_path.glob(".all.csv.*.tmp")), command)
    command.signal(signal.SIGINT)
    assert command.wait() == 130
    assert "interrupted by SIGINT, after" in command.err
    text = (tmp_path / "all.csv").read_text()
    rows = list(csv.reader(text.splitlines()))
    assert text.endswith("\n")
    assert 1 < len(rows) < 2000
    assert {len(row) for row in rows} == {4}
    assert not list(tmp_path.glob(".all.csv*"))


def test_of_a_folder_of_runs_it_takes_the_newest_and_names_it(gapfc, digits_run, photos, tmp_path):
    runs = tmp_path / "runs"
    older, newer = (runs / f"20260101-00000{second}-s0" for second in (1, 2))
    for copy in (older, newer):
        shutil.copytree(digits_run, copy)
    unfinished = runs / "20260101-000003-s0"
    shutil.copytree(digits_run, unfinished)
    (unfinished / "results.json").unlink()
    done = gapfc("predict", str(runs), str(photos), "--json")
    assert done.returncode == 0, done.stderr
    assert f"The newest run of {runs}: {newer}\n  gap · digits · test " in done.stderr
    assert json.loads(done.stdout)["run"] == str(newer)
    (older / "results.json").unlink()
    (newer / "results.json").unlink()
    done = gapfc("predict", str(runs), str(photos))
    assert done.returncode == 2
    assert f"{runs} holds 3 runs, none of them completed" in done.stderr
