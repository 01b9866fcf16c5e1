"""The pictures of `gapfc predict --cam`: one for each image, below one folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePath

from gapfc.data.photo import decode
from gapfc.errors import UserError
from gapfc.formatting import folder_name
from gapfc.records.atomic import atomic_write
from gapfc.records.inputs import Inputs
from gapfc.trained.images import MAP, ImageFile
from gapfc.trained.overlay import overlay_png
from gapfc.trained.predict import Prediction


class MapFolder:
    """Writes `<image>.cam.png` below `path`, in the folders that the images are in.

    No file of another name is ever written over, also not through a link of that name: `path` may
    be the stranger's folder that the images are in. Raises UserError if it cannot be made.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self.written = 0
        self._names: Counter[str] = Counter()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            said = "it is a file" if self.path.exists() else error.strerror
            raise UserError(f"--cam {path}: no folder can be made there: {said}") from error

    def write(self, prediction: Prediction, inputs: Inputs) -> Path:
        """Draw and write one. Raises one of `photo.UNREADABLE`; UserError if it can't be written.

        prediction: with its activation.
        """
        assert prediction.activation is not None
        number, probability = prediction.top[0]
        photo = decode(prediction.image.path)
        content = overlay_png(
            photo, prediction.activation, inputs, inputs.classes[number], probability
        )
        path = self.path / self._name(prediction.image)
        if not path.parent.resolve().is_relative_to(self.path.resolve()):
            raise UserError(
                f"--cam {self.path}: {path.parent} lies behind a link that leads out of it. Give "
                "another folder for the maps."
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, lambda file: file.write(content), follow=False)
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror}") from error
        self.written += 1
        return path

    def _name(self, image: ImageFile) -> PurePath:
        """A name that no other image of this call has, also where A.jpg and a.jpg are one."""
        name = PurePath(*map(folder_name, image.parts))
        while (count := self._names[str(name).casefold()]) > 0:
            self._names[str(name).casefold()] += 1
            name = name.with_name(f"{name.name}-{count + 1}")
        self._names[str(name).casefold()] += 1
        return name.with_name(name.name + MAP)
