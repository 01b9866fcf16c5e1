"""`gapfc transfer` as a user runs it: what is frozen stays, and what is there is reused."""

import shutil
import signal

import pytest
import torch
from processes import run, start, until
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_train import directories, untimed, weights

from gapfc.records.predictions import read_predictions
from gapfc.records.results import read_results

SMALL = {
    "trainer.epochs": "2",
    "trainer.device": "cpu",
    "trainer.precision": "fp32",
    "trainer.batch_size": "16",
    "dataset.image_size": "12",
    "dataset.train_limit": "150",
    "dataset.test_limit": "100",
}
SHARED = ("trainer.device", "trainer.precision")
SOURCE = [
    "source.dataset=digits",
    "++source.options.backbone.widths=[8,8,16]",
    "++source.options.backbone.pool_after=[1,2]",
    "++source.options.dataset.classes=[0,1,2,3,4]",
    *(f"++source.options.{k}={v}" for k, v in SMALL.items() if k not in SHARED),
]
TARGET = [f"{key}={value}" for key, value in SMALL.items()]
NEW = "dataset.classes=[5,6,7,8,9]"


def newest(folder, command="transfer"):
    found = [d for d in directories(folder) if f"outputs/{command}/" in str(d)]
    return max(found, key=lambda d: (d / "config.yaml").stat().st_mtime)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A scratch run, and a source under fc and gap, that the tests below build on."""
    folder = tmp_path_factory.mktemp("transfer")
    for head in ("fc", "gap"):
        settings = [*SOURCE, *TARGET, NEW, f"source.head={head}"]
        code, _, err = run("transfer", *settings, "protocol=scratch", folder=folder)
        assert code == 0, err
        code, out, err = run("transfer", *settings, "protocol=linear_probe", folder=folder)
        assert code == 0, err
        assert "whatever trainer.epochs says" in out
    return folder


def source_of(folder, head):
    runs = [d for d in directories(folder) if f"outputs/train/digits/convnet/{head}/" in str(d)]
    found = [directory for directory in runs if directory.name.endswith("-s0")]
    assert len(found) == 1  # trained once, for all that follows
    return found[0]


def transfer(folder, *settings, head="gap"):
    source = str(source_of(folder, head))
    code, out, err = run("transfer", f"source={source}", *TARGET, NEW, *settings, folder=folder)
    assert code == 0, out + err
    return newest(folder)


@pytest.mark.parametrize("head", ["fc", "gap"])
@pytest.mark.slow
def test_a_probe_changes_no_bit_of_the_features(folder, head):
    source, target = weights(source_of(folder, head), "best.pt"), None
    for directory in directories(folder):
        if f"transfer/digits/convnet/{head}/" in str(directory):
            results = read_results(directory)
            if results["transfer"]["protocol"] == "linear_probe":
                target = weights(directory, "best.pt")
                break
    frozen = [name for name in source if name.startswith("backbone.")]
    assert any("running_var" in name for name in frozen)
    assert all(torch.equal(source[name], target[name]) for name in frozen)
    assert results["transfer"]["drift_total"]["backbone"] == 0
    assert results["transfer"]["gain_over_scratch"] is not None
    assert results["parameters"]["trainable"] == results["parameters"]["head"]
    assert results["test"]["accuracy"] > 0.3
    # What was solved on cached features is what the whole model computes.
    probe = results["transfer"]["probe"]
    assert results["train"]["accuracy"] == pytest.approx(probe["train_accuracy"], abs=0.01)
    assert results["val"]["accuracy"] == pytest.approx(probe["val_accuracy"], abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("head", "width"), [("gap", 16), ("fc", 16 * 3 * 3)])
def test_the_head_chooses_what_a_probe_reads_whatever_the_sources_was(folder, head, width):
    """The channels' means under gap, the whole map under fc: source head × readout."""
    directory = transfer(
        folder, "protocol=linear_probe", f"head={head}", head="fc" if head == "gap" else "gap"
    )
    results = read_results(directory)
    assert results["transfer"]["probe"]["features"] == width
    assert results["transfer"]["source"]["head"] != results["head"] == head
    assert results["parameters"]["head"] == (width + 1) * 5


@pytest.mark.slow
def test_last_block_changes_the_last_stage_alone_under_weight_decay(folder):
    directory = transfer(folder, "protocol=last_block", "optimizer.weight_decay=0.1")
    before, after = weights(source_of(folder, "gap"), "best.pt"), weights(directory, "best.pt")
    changed = {n for n in before if n.startswith("backbone.") and not before[n].equal(after[n])}
    assert changed
    assert all(name.startswith("backbone.stage3.") for name in changed)
    found = read_results(directory)["transfer"]
    assert found["cka"]["stage1"] == found["cka"]["stage2"] == 1.0
    assert found["cka"]["stage3"] < 1
    assert found["drift"]["stage1.conv"] == 0 < found["drift"]["stage3.conv"]


@pytest.mark.slow
def test_fine_tuning_begins_at_the_source_and_drift_says_how_far_it_went(folder):
    directory = transfer(folder, "protocol=finetune")
    before, after = weights(source_of(folder, "gap"), "best.pt"), weights(directory, "best.pt")
    results = read_results(directory)
    for layer, value in results["transfer"]["drift"].items():
        names = [n for n in before if n in (f"backbone.{layer}.weight", f"backbone.{layer}.bias")]
        old, new = (torch.cat([s[n].flatten() for n in names]).double() for s in (before, after))
        assert value == pytest.approx(float((new - old).norm() / old.norm()), rel=1e-6)
    assert results["command"] == "transfer"
    assert results["head"] == "gap"
    source = read_results(source_of(folder, "gap"))
    facts = results["transfer"]["source"]
    assert facts["test_accuracy"] == source["test"]["accuracy"]
    assert (facts["head"], facts["dataset"], facts["seed"]) == ("gap", "digits", 0)
    assert facts["group"] == source["group"]
    assert results["transfer"]["old_classes"] is None  # 0..4 are not in the head
    scratch = read_results(results["transfer"]["scratch"])
    gain = results["test"]["accuracy"] - scratch["test"]["accuracy"]
    assert results["transfer"]["gain_over_scratch"] == pytest.approx(gain)
    events = EventAccumulator(str(directory))
    events.Reload()
    assert {"cka/stage1", "drift_layer/stage1.conv", "final/gain_over_scratch"} <= set(
        events.Tags()["scalars"]
    )
    assert "visual/how far the features moved" in events.Tags()["images"]


@pytest.mark.slow
def test_head_kept_begins_with_the_sources_hidden_layers(folder):
    still = ["optimizer.lr=1e-12", "optimizer.weight_decay=0"]
    kept = weights(transfer(folder, "protocol=head_kept", *still, head="fc"), "best.pt")
    new = weights(transfer(folder, "protocol=finetune", *still, head="fc"), "best.pt")
    source = weights(source_of(folder, "fc"), "best.pt")
    hidden = "head.classifier.0.weight"
    assert torch.allclose(kept[hidden], source[hidden], atol=1e-6)
    assert not torch.allclose(new[hidden], source[hidden], atol=1e-3)
    last = max(name for name in source if name.endswith("weight") and "classifier" in name)
    assert not torch.allclose(kept[last], source[last], atol=1e-3)


@pytest.mark.slow
def test_classes_that_extend_the_sources_and_what_is_left_of_those(folder):
    still = ["optimizer.lr=1e-12", "optimizer.weight_decay=0"]
    directory = transfer(folder, "keep_classes=true", *still)
    found = read_results(directory)["transfer"]
    assert found["classes"] == [str(digit) for digit in range(10)]
    assert found["old_classes"]["classes"] == ["0", "1", "2", "3", "4"]
    # Nothing was trained: the old rows still tell the old classes apart.
    assert found["old_classes"]["accuracy"] > 0.15
    told = f"{100 * found['old_classes']['accuracy']:.2f}% of {found['old_classes']['images']} test"
    assert told in (directory / "run.log").read_text()
    everything = read_results(transfer(folder, "dataset.classes=null"))["transfer"]
    assert everything["old_classes"]["images"] == 100  # the source's dataset.test_limit


@pytest.mark.slow
def test_few_shots_and_a_checkpoint_as_the_source(folder):
    source = source_of(folder, "gap") / "checkpoints" / "best.pt"
    code, out, err = run(
        "transfer", f"source={source}", *TARGET, NEW, "dataset.train_limit=null",
        "dataset.shots=1", "protocol=linear_probe", folder=folder,
    )  # fmt: skip
    assert code == 0, err
    found = read_results(newest(folder))["transfer"]
    assert found["gain_over_scratch"] is None
    assert "gain over scratch unknown: no run of protocol=scratch" in out + err
    assert found["train_images"] == 5
    assert found["shots"] == 1
    assert found["source"]["path"] == str(source)


@pytest.mark.slow
def test_a_seed_has_a_source_of_its_own_and_the_group_of_the_others(folder):
    group = read_results(transfer(folder, "protocol=linear_probe"))["group"]
    settings = [*SOURCE, *TARGET, NEW, "source.head=gap", "protocol=linear_probe", "seed=1"]
    for words in ("trained first", "already exists"):
        code, out, err = run("transfer", *settings, folder=folder)
        assert code == 0, out + err
        assert words in out + err
        results = read_results(newest(folder))
        assert results["transfer"]["source"]["seed"] == results["seed"] == 1
        assert results["group"] == group
        assert read_predictions(newest(folder)).right.mean() == results["test"]["accuracy"]


@pytest.mark.slow
def test_a_probe_that_is_done_says_so_and_does_not_speak_of_epochs(folder):
    probe = transfer(folder, "protocol=linear_probe")
    for changes in ([], ["trainer.epochs=9"]):
        code, _, err = run("transfer", f"resume={probe}", *changes, folder=folder)
        assert code == 2
        assert f"{probe} is complete: a probe is solved only once" in err
        assert "early stopping" not in err


@pytest.mark.slow
def test_a_sweep_picks_up_what_is_there_scratch_too(folder):
    settings = [*SOURCE, *TARGET, NEW, "source.head=gap", "protocol=scratch,linear_probe"]
    before = directories(folder)
    code, out, err = run("transfer", "-m", *settings, folder=folder)
    assert code == 0, out + err
    assert (out + err).count("already there: skipped") == 2
    assert directories(folder) == before


@pytest.mark.slow
def test_an_interrupted_fine_tuning_after_a_probe_continues_to_the_same_end(folder):
    settings = ["protocol=lp_ft", "trainer.epochs=6", "dataset.train_limit=null"]
    whole = transfer(folder, *settings)
    source = source_of(folder, "gap")
    command = start("transfer", f"source={source}", *TARGET, NEW, *settings, folder=folder)
    until(lambda: newest(folder) != whole and (newest(folder) / "metrics.csv").exists(), command)
    command.signal(signal.SIGTERM)
    code, parted = command.wait(), newest(folder)
    assert code == 143, command.err
    assert read_results(parted)["status"] == "interrupted"
    code, _, err = run("transfer", f"resume={parted}", folder=folder)
    assert code == 0, err
    a, b = (weights(directory, "best.pt") for directory in (whole, parted))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert untimed(whole) == untimed(parted)  # drift too: it counts from the probe
    a, b = (read_results(directory)["transfer"] for directory in (whole, parted))
    assert (a["cka"], a["drift"], a["drift_head"]) == (b["cka"], b["drift"], b["drift_head"])
    assert a["probe"]["penalty"] == b["probe"]["penalty"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["source=nowhere"], "nowhere does not exist"),
        ([], "transfer needs a source"),
        (
            ["source={gap}", "backbone=resnet_cifar"],
            "another architecture than the source's convnet",
        ),
        (["source={gap}", "protocol=probe"], "protocol takes scratch"),
        (["source={gap}", "dataset.shots=1000"], "dataset.shots=1000 is more than"),
        (["source={gap}", "head=nin", "head.conv=false", "protocol=linear_probe"], "no parameters"),
        (["source={gap}", "head=sppf", "protocol=linear_probe"], "other layers of head=sppf"),
        (["source={gap}", "head=fc", "protocol=head_kept"], "keeps the source's head=gap"),
        (["source={fc}", "dataset.image_size=16", "protocol=head_kept"], "can't be kept"),
        (["source={gap}", "keep_classes=true", "protocol=lp_ft"], "keep_classes=true"),
        (["source={gap}", "dataset=folder", "dataset.train_dir=nothing"], "nothing"),
        (["source=pretrained"], "source=pretrained has no backbone of its own"),
        (["source.dataset=nothing"], "dataset=nothing: no such dataset"),
        (["source={failed}"], "failed: The loss became nan"),
        (["source={unfinished}"], "is not finished (no results.json: still running, or killed)"),
        (
            ["source={miscounted}", "keep_classes=true"],
            "[5, 16], and its 4 classes need [4, 16]",
        ),
        (["resume={gap}"], "is a run of gapfc train"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_and_leaves_nothing(folder, tmp_path, settings, message):
    places = {head: source_of(folder, head) for head in ("fc", "gap")}
    for name in ("failed", "unfinished", "miscounted"):
        places[name] = shutil.copytree(places["gap"], tmp_path / name)
    results, config = places["failed"] / "results.json", places["miscounted"] / "config.yaml"
    text = results.read_text().replace('"completed"', '"failed"')
    results.write_text(text.replace('"error": null', '"error": "The loss became nan"'))
    (places["unfinished"] / "results.json").unlink()
    config.write_text(config.read_text().replace("  - 4\n", "", 1))
    before = directories(folder)
    given = [setting.format(**places) for setting in settings]
    code, out, err = run("transfer", *given, folder=folder)
    assert code == 2, out + err
    assert message in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) <= 2
    assert directories(folder) == before


@pytest.mark.slow
def test_every_protocol_is_measured_again(folder, tmp_path):
    """Rebuilt from the run alone; each still says of every image what predictions.npz says."""
    shutil.copytree(folder / "outputs", tmp_path / "outputs")
    settings = [*SOURCE, *TARGET, NEW, "source.head=fc", f"output_root={tmp_path}/outputs"]
    for more in (["protocol=last_block"], ["protocol=finetune", "keep_classes=true"]):
        code, _, err = run("transfer", *settings, *more, folder=folder)
        assert code == 0, err
    code, out, err = run("evaluate", "outputs/transfer", "--probe", "size", folder=tmp_path)
    assert code == 0, out
    runs = [d for d in directories(tmp_path) if "outputs/transfer/" in str(d)]
    assert all((directory / "probes.npz").exists() for directory in runs)
    assert f"{len(runs)} runs" in out
    assert "finetune" in out


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["linear_probe", "last_block"])
def test_further_seeds_find_the_features_of_the_first(folder, protocol):
    for seed, computes in ((3, True), (4, False)):
        settings = [f"protocol={protocol}", f"seed={seed}", "cache_root=kept", "augment=none"]
        kept = read_results(transfer(folder, *settings))["frozen_features"]
        assert (kept["seconds"] > 0) == computes
