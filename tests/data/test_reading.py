"""What reads photos, where others than training ask for them or end it."""

import multiprocessing

import pytest
import torch
from PIL import Image

from gapfc.data.files import Files
from gapfc.data.framing import Framing
from gapfc.data.resident import make_resident
from gapfc.data.stream import Stream

CPU, PLAIN = torch.device("cpu"), Framing("squash", 1.0, (0.5, 0.5, 0.5))


@pytest.fixture
def photos(tmp_path):
    for number in range(3):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")
    paths = [str(tmp_path / f"{number}.png") for number in range(3)]
    return Files(paths, torch.arange(3))


def test_photos_that_a_probe_was_the_first_to_ask_for_are_as_all_others(photos):
    with torch.inference_mode():
        kept = make_resident(photos, (8, 8), PLAIN, CPU)
    assert not kept.images.is_inference()
    assert kept.images[:, 0, 0, 0].tolist() == [0, 1, 2]


def test_a_worker_that_is_told_to_end_ends_in_order(photos):
    """Any other exit code makes torch raise from its signal handler, at the end of a run."""
    stream = Stream(photos, (8, 8), PLAIN, CPU, workers=1)
    assert [labels.tolist() for _, labels, _ in stream.in_order(2)] == [[0, 1], [2]]
    (worker,) = multiprocessing.active_children()
    worker.terminate()
    worker.join()
    assert worker.exitcode == 0
