"""Small runs of digits and of photos, trained once, from which models are loaded."""

from pathlib import Path

import numpy as np
from PIL import Image
from processes import run

BACKBONE = ("backbone.widths=[4,6]", "backbone.pool_after=[1]")
SMALL = (
    "trainer.epochs=1", "trainer.batch_size=16", "trainer.device=cpu", "trainer.precision=fp32",
    "schedule=constant", "optimizer.lr=0.01",
)  # fmt: skip
SIZES = ((40, 56), (33, 47), (160, 240), (90, 30))  # the third is more than twice the input's


def train(folder: Path, *settings: str, command: str = "train") -> Path:
    """The directory of a new run below `folder`."""
    before = set(folder.rglob("results.json"))
    own = BACKBONE if command == "train" else ()  # a transfer has its source's
    code, out, err = run(command, *own, *SMALL, *settings, folder=folder)
    assert code == 0, out + err
    (made,) = set(folder.rglob("results.json")) - before
    return made.parent


def write_photos(root: Path, each: int = 12) -> None:
    """root/{discs,squares}: photos of several sizes, kinds of files and orientations."""
    random = np.random.default_rng(0)
    for name in ("discs", "squares"):
        (root / name).mkdir(parents=True)
        for number in range(each):
            height, width = SIZES[number % 4]
            pixels = random.integers(0, 90, (height, width, 3), dtype=np.uint8)
            y, x = np.mgrid[:height, :width]
            off = abs(y - height / 2), abs(x - width / 2)
            inside = np.maximum(*off) < 12 if name == "squares" else np.hypot(*off) < 12
            pixels[inside] = (220, 120, 60) if name == "squares" else (60, 120, 220)
            image = Image.fromarray(pixels)
            path = root / name / f"{number:02d}"
            if number % 3 == 0:
                image.convert("L" if number % 2 else "RGBA").save(f"{path}.png")
            else:
                exif = Image.Exif()
                exif[0x0112] = 6 if number % 3 == 1 else 1
                image.save(f"{path}.jpg", exif=exif, quality=95)
