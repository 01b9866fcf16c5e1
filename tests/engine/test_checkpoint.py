"""Checkpoints: written and read back; whatever else is found there is refused in words."""

import os
import random
import zipfile

import pytest
import torch

from gapfc.engine import checkpoint
from gapfc.errors import UserError

STATE = {"model": {"w": torch.arange(3.0)}}


def test_checkpoints_come_back(tmp_path):
    checkpoint.save_last(tmp_path, STATE)
    path, state = checkpoint.load_last(tmp_path)
    assert path == tmp_path / checkpoint.LAST
    assert torch.equal(state["model"]["w"], STATE["model"]["w"])


def test_a_truncated_checkpoint_is_refused_and_the_one_before_is_used(tmp_path, caplog):
    checkpoint.save_last(tmp_path, STATE)
    checkpoint.save_last(tmp_path, {"model": {"w": torch.zeros(1000)}})
    last = tmp_path / checkpoint.LAST
    last.write_bytes(last.read_bytes()[:-500])
    with pytest.raises(UserError, match="damaged or not a checkpoint"):
        checkpoint.load(last)
    before = tmp_path / checkpoint.PREVIOUS
    path, state = checkpoint.load_last(tmp_path)
    assert path == before
    assert torch.equal(state["model"]["w"], STATE["model"]["w"])
    assert f"Continuing from {before}, the one before" in caplog.text
    checkpoint.make_last(path)
    assert not before.exists()
    assert checkpoint.load_last(tmp_path)[0] == last


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 broken"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(UserError, match="not a checkpoint"):
        checkpoint.load_last(tmp_path)


def test_a_foreign_checkpoint_is_refused(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "last.pt")
    with pytest.raises(UserError, match="not a gapfc checkpoint"):
        checkpoint.load(tmp_path / "last.pt")
    with pytest.raises(UserError, match="no checkpoint"):
        checkpoint.load(tmp_path / "none.pt")


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"format": 1, "model": {"w": Evil()}}, tmp_path / "last.pt")
    with pytest.raises(UserError, match="not a checkpoint"):
        checkpoint.load(tmp_path / "last.pt")
    assert not (tmp_path / "ran").exists()


def test_every_flipped_bit_is_refused_or_changes_nothing(tmp_path):
    """Of all 31,000 bits of such a file: here those of the directories, and a random sample."""
    path = tmp_path / "best.pt"
    state = {"model": {"w": torch.arange(6.0), "b": torch.ones(2)}, "progress": {"epoch": 3}}
    checkpoint.save(path, state)
    whole, expected = path.read_bytes(), checkpoint.load(path)
    places = random.Random(0).sample(range(8 * len(whole)), 200)
    with zipfile.ZipFile(path) as archive:
        # Bit 4 of the attributes: "is a folder".
        places += [8 * (archive.start_dir + 38) + 4]
    refused = 0
    for place in places:
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            found = checkpoint.load(path)
        except UserError:
            refused += 1
            continue
        for name, weight in expected["model"].items():
            assert torch.equal(found["model"][name], weight), place
        assert found["progress"] == expected["progress"], place
    assert refused > 100


def test_every_flipped_bit_of_a_weight_is_refused(tmp_path):
    path = tmp_path / "best.pt"
    checkpoint.save(path, STATE)
    whole = path.read_bytes()
    start = whole.index(STATE["model"]["w"].numpy().tobytes())
    for place in range(8 * start, 8 * (start + 12)):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(UserError, match=r"the checksum of .*data/0 is wrong"):
            checkpoint.load(path)


def test_compressed_members_are_refused_unread(tmp_path):
    checkpoint.save(tmp_path / "whole.pt", STATE)
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        with zipfile.ZipFile(tmp_path / "whole.pt") as whole:
            for name in whole.namelist():
                bomb.writestr(name, whole.read(name))
        bomb.writestr("archive/data/9", bytes(10_000_000))
    assert path.stat().st_size < 100_000
    with pytest.raises(UserError, match=r"bomb.pt is damaged .*: it has members that"):
        checkpoint.load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_or_a_folder_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "best.pt")
    (tmp_path / "last.pt").mkdir()
    for name in ("best.pt", "last.pt"):
        with pytest.raises(UserError, match=f"{name} is damaged or not a checkpoint: it is not a"):
            checkpoint.load(tmp_path / name)


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
@pytest.mark.parametrize(
    "model",
    [
        None,
        [],
        {"w": None},
        {3: torch.ones(2)},
        {"w": torch.ones(2).to_sparse()},
        {"w": torch.ones(2, device="meta")},
    ],
)
def test_a_model_is_tensors_by_name(model, tmp_path):
    checkpoint.save(tmp_path / "best.pt", {"model": model})
    with pytest.raises(UserError, match="is not a gapfc checkpoint: its model is not tensors by"):
        checkpoint.load(tmp_path / "best.pt")
