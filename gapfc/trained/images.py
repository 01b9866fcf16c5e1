"""The image files that are to be classified, and what their folders say they show."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gapfc.data.sources.folder import EXTENSIONS, image_files
from gapfc.data.sources.walk import Walk
from gapfc.errors import UserError
from gapfc.records.inputs import spelled

MAP = ".cam.png"  # ends the names of pictures that gapfc drew itself


@dataclass(frozen=True)
class ImageFile:
    """An image file.

    Attributes:
        path: to open it by.
        parts: its folders below the folder that was given, and its own name.
        label: the class that the first of these folders with the name of one is called after; a
            name that two classes have tells none.
    """

    path: str
    parts: tuple[str, ...]
    label: int | None = None


def find_images(paths: Sequence[str], classes: Sequence[str]) -> list[ImageFile]:
    """The files in `paths`, and the images below the folders in it; each once.

    A folder is read as dataset=folder reads one: by extension, through links, what is hidden left
    out. The maps that gapfc drew there are left out as well. A path that is not there is taken for
    a file, which whoever reads it will name.

    Raises UserError if none of the paths is there, and for a folder that cannot be read or has no
    images.
    """
    times = Counter(classes)
    numbers = {name: number for number, name in enumerate(classes) if times[name] == 1}
    found: dict[str, ImageFile] = {}
    if "" in paths:  # to Path it would be the working folder
        raise UserError("the name of an image is empty: is a variable of the shell unset?")
    if not any(os.path.lexists(Path(path).expanduser()) for path in paths):
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        raise UserError(f"{', '.join(paths[:3])}{more}: there is no such file or folder")
    for path in paths:
        given = Path(path).expanduser()
        if not given.is_dir():
            found.setdefault(os.path.abspath(given), ImageFile(str(given), (given.name,)))
            continue
        below = [file for file in _images_below(given) if not file.lower().endswith(MAP)]
        if not below:
            raise UserError(f"{path} has no images ({' '.join(EXTENSIONS)})")
        for file in below:
            parts = Path(file).relative_to(given).parts
            labels = [numbers[name] for name in map(spelled, parts[:-1]) if name in numbers]
            image = ImageFile(file, parts, labels[0] if labels else None)
            found.setdefault(os.path.abspath(file), image)
    return list(found.values())


def _images_below(folder: Path) -> list[str]:
    # As if it were a class of the folder it is in: no link leads back up.
    walk = Walk([Path(os.path.realpath(folder)).parent])
    return image_files(walk, "train_dir", folder)
