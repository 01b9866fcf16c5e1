"""Where a folder of images is that a setting names; without torch: sweeps ask before their runs."""

from pathlib import Path

from gapfc.errors import UserError

FOLDER = "gapfc.data.sources.folder.folder"  # the _target_ of dataset=folder
DIRS = ("train_dir", "val_dir", "test_dir")  # its settings


def locate(path: str, data_root: Path, setting: str) -> Path:
    """The folder `path`, of the working folder or data_root. UserError if it is in neither."""
    wanted = Path(path).expanduser()
    for candidate in (wanted, data_root / wanted):
        if candidate.is_dir():
            return candidate
    raise UserError(
        f"{setting}={path}: there is no such folder, neither {wanted.absolute()} "
        f"nor {(data_root / wanted).absolute()}."
    )
