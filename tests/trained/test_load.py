"""gapfc.load: the model of a run directory, which says of its test images what the run said."""

import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from whole_runs import train, write_photos

import gapfc
from gapfc.data.sources.digits import digits
from gapfc.engine import checkpoint
from gapfc.errors import UserError
from gapfc.records.predictions import read_predictions
from gapfc.records.results import read_results
from gapfc.trained.images import find_images


def said(model, images):
    """Class and probability of each image, [N] and [N]."""
    with torch.inference_mode():
        probability, number = model(images).softmax(1).max(1)
    return number.tolist(), probability.numpy()


def check_as_the_run_said(run, model, images):
    """images: all of the stored set, in its order."""
    then = read_predictions(run)
    number, probability = said(model, [images[place] for place in then.index])
    assert number == then.prediction.tolist()
    np.testing.assert_allclose(probability, then.p_prediction, rtol=0, atol=2e-6)


def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "elsewhere" / "run")


def test_digits_as_tensors_and_as_pictures(digits_run, tmp_path):
    model = gapfc.load(copy(digits_run, tmp_path))
    images = digits(tmp_path).train.images
    assert model.classes == tuple("0123456789")
    check_as_the_run_said(digits_run, model, images)
    pictures = [Image.fromarray(image[0].numpy()) for image in images]
    check_as_the_run_said(digits_run, model, pictures)


@pytest.mark.parametrize("opened", [True, False], ids=["opened", "decoded"])
def test_photos_of_several_sizes(photos_run, photos, opened):
    """A JPEG that was opened only is decoded at half size, as in training; the user's stays."""
    model = gapfc.load(photos_run)
    pictures = [Image.open(file.path) for file in find_images([photos], model.classes)]
    sizes = [picture.size for picture in pictures]
    if opened:
        check_as_the_run_said(photos_run, model, pictures)
    else:
        for picture in pictures:
            picture.load()
        then = read_predictions(photos_run)
        _, probability = said(model, [pictures[place] for place in then.index])
        np.testing.assert_allclose(probability, then.p_prediction, atol=0.01)
    assert [picture.size for picture in pictures] == sizes


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        ["dataset.image_size=native", "dataset.max_size=64", "dataset.size_multiple=8"],
        ["dataset.image_size=[32,24]", "dataset.canvas=36", "head=spp", "head.levels=[1,2]"],
        ["dataset.image_size=[32,24]", "dataset.resize=pad"],
        ["dataset.image_size=32", "dataset.resize=crop", "dataset.crop_share=0.8"],
    ],
    ids=["native", "canvas", "pad", "crop_share"],
)
def test_photos_are_brought_to_the_network_as_in_its_run(settings, tmp_path):
    write_photos(tmp_path / "photos", 8)
    run = train(tmp_path, "dataset=folder", f"dataset.train_dir={tmp_path}/photos",
                "dataset.test_fraction=0.4", "dataset.workers=0", *settings)  # fmt: skip
    model = gapfc.load(run)
    files = [file.path for file in find_images([str(tmp_path / "photos")], model.classes)]
    check_as_the_run_said(run, model, [Image.open(file) for file in files])
    tensors = [torch.from_numpy(np.array(Image.open(file).convert("RGB"))) for file in files[3:4]]
    prepared = model.prepare(tensors[0].permute(2, 0, 1))
    assert torch.equal(prepared, model.prepare(Image.open(files[3]).convert("RGB")))


def test_what_a_run_records(digits_run):
    results = read_results(digits_run)
    best = checkpoint.load(digits_run / "checkpoints" / "best.pt")
    for record in (results, best):
        assert record["gapfc"] == gapfc.__version__
        assert record["classes"] == list("0123456789")
        assert record["input_transform"]["size"] == [12, 12]
        assert record["input_transform"]["resampler"] == "torch"
        assert record["input_transform"]["mean"] == pytest.approx([0.306] * 3, abs=0.01)


@pytest.mark.slow
def test_a_transfer_that_keeps_classes_names_all_of_them(tmp_path):
    limits = ("dataset.image_size=8", "dataset.train_limit=60")
    source = train(tmp_path, *limits, "dataset.classes=[3,5,8]")
    run = train(tmp_path, *limits[1:], f"source={source}", "protocol=finetune", "dataset=digits",
                "keep_classes=true", "dataset.image_size=8", "dataset.classes=[1,8]",
                command="transfer")  # fmt: skip
    model = gapfc.load(run)
    assert model.classes == ("3", "5", "8", "1")
    assert model(torch.zeros(1, 1, 8, 8, dtype=torch.uint8)).shape == (1, 4)
    check_as_the_run_said(run, model, digits(tmp_path).train.images)


def test_a_resumed_run_of_before_records_it_too(digits_run, tmp_path):
    run = without_record(copy(digits_run, tmp_path))
    with pytest.raises(UserError, match=r"earlier gapfc.*Train it again: gapfc train 'backbone"):
        gapfc.load(run)
    from processes import run as command

    code, _, err = command("train", f"resume={run}", "trainer.epochs=2", folder=tmp_path)
    assert code == 0, err
    assert gapfc.load(run).classes == tuple("0123456789")


def without_record(run):
    """As an earlier gapfc wrote it."""
    results = json.loads((run / "results.json").read_text())
    best = checkpoint.load(run / "checkpoints" / "best.pt")
    for record in (results, best):
        for key in ("classes", "input_transform"):
            del record[key]
    (run / "results.json").write_text(json.dumps(results))
    checkpoint.save(run / "checkpoints" / "best.pt", {"model": best["model"]})
    return run


def test_the_random_state_and_the_modules_of_others_are_left_alone(digits_run):
    torch.manual_seed(123)
    before = torch.get_rng_state()
    model = gapfc.load(digits_run)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(module.training for module in model.modules())


def test_only_what_is_vouched_for_is_built(digits_run, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("from gapfc.heads import GAP as Mine\n")
    monkeypatch.chdir(tmp_path)
    run = copy(digits_run, tmp_path)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["head"]["_target_"] = "mine.Mine"
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=r"(?s)mine\.Mine.*trust=True, or config_dir="):
        gapfc.load(run)
    assert gapfc.load(run, trust=True).classes
    (tmp_path / "configs" / "head").mkdir(parents=True)
    with pytest.raises(UserError, match="not one of gapfc's classes"):
        gapfc.load(run, config_dir=tmp_path / "configs")
    (tmp_path / "configs" / "head" / "mine.yaml").write_text("_target_: mine.Mine\n")
    assert gapfc.load(run, config_dir=tmp_path / "configs").classes
    with pytest.raises(UserError, match="no such folder"):
        gapfc.load(run, config_dir=tmp_path / "nowhere")


def test_files_that_do_not_belong_together(digits_run, photos_run, tmp_path):
    run = copy(digits_run, tmp_path)
    best = run / "checkpoints" / "best.pt"
    shutil.copy(photos_run / "checkpoints" / "best.pt", best)
    with pytest.raises(UserError, match=r"best\.pt is of another run than results\.json"):
        gapfc.load(run)
    shutil.copy(digits_run / "checkpoints" / "best.pt", best)
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("- 6\n", "- 7\n", 1))
    with pytest.raises(UserError, match=r"best\.pt: .* was expected to be float32"):
        gapfc.load(run)
    (run / "config.yaml").write_text(config)
    results = json.loads((run / "results.json").read_text())
    (run / "results.json").write_text(json.dumps(results | {"command": "transfer"}))
    with pytest.raises(UserError, match=r"config\.yaml is not of a run"):
        gapfc.load(run)
    results["input_transform"]["size"] = [12, 10**7]
    (run / "results.json").write_text(json.dumps(results))
    with pytest.raises(UserError, match=r"results\.json: input_transform\.size is \[12, 10000000"):
        gapfc.load(run)
    best.unlink()
    with pytest.raises(UserError, match=r"has no checkpoints/best\.pt"):
        gapfc.load(run)


def test_what_is_no_run_and_no_device(digits_run, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        gapfc.load(tmp_path / "nowhere")
    with pytest.raises(UserError, match="is not a run directory"):
        gapfc.load(digits_run / "checkpoints" / "best.pt")
    run = copy(digits_run, tmp_path)
    (run / "results.json").unlink()
    with pytest.raises(UserError, match=r"not finished.*gapfc train resume="):
        gapfc.load(run)
    with pytest.raises(UserError, match="takes auto, cpu, cuda"):
        gapfc.load(digits_run, device="gpu")
    assert gapfc.load(digits_run, device=torch.device("cpu")).device.type == "cpu"
