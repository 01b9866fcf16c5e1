"""One folder of symbolic links for TensorBoard, which names a run by the path of its folder."""

import os
from collections.abc import Sequence
from pathlib import Path

from gapfc.dashboard.find import event_folders, known_run, margins_of
from gapfc.dashboard.names import names
from gapfc.errors import UserError
from gapfc.formatting import folder_name, unique
from gapfc.records.of_claims import without_claims
from gapfc.records.run import Run


class Links:
    """Links in `folder` to every run below `roots`, by short names.

    Both of TensorBoard's readers follow links, look for new folders at every reload, and forget
    those that are gone: so keeping the links up to date is all there is to do.

    left_out: whether there are runs of `gapfc claims` that the last refresh has not linked.
    """

    def __init__(self, roots: Sequence[Path], folder: Path) -> None:
        self._roots = roots
        self._folder = folder
        self._runs: dict[Path, Run] = {}
        self._names: dict[Path, str] = {}
        self.left_out = False

    def refresh(self) -> int:
        """Link what is new, unlink what is gone; returns how many runs there are."""
        found = [folder for root in self._roots for folder in event_folders(root)]
        shown, left_out = without_claims(self._roots, found)
        self.left_out = bool(left_out)
        folders = dict.fromkeys(Path(os.path.realpath(folder)) for folder in shown)
        self._runs = {
            folder: run
            for folder in folders
            if (run := self._runs.get(folder) or known_run(folder)) is not None
        }
        wanted = names(self._runs, self._names)
        for folder in folders:
            if folder not in wanted:
                kept = self._names.get(folder)
                wanted[folder] = kept or unique(self._name_of_other(folder), wanted.values())
        for folder in self._names.keys() - wanted.keys():
            (self._folder / self._names[folder]).unlink()
        for folder in wanted.keys() - self._names.keys():
            self._link(folder, self._folder / wanted[folder])
        self._names = wanted
        return len(self._runs)

    def _name_of_other(self, folder: Path) -> str:
        # No name may be below another's: that would put a link inside the other's own folder.
        # So these have first parts that no run has, and as many parts as one another.
        margins = margins_of(folder)
        if margins is not None:
            section, group = map(folder_name, margins)
            return f"all seeds/{section}/{group}"
        return f"other logs/{folder_name(os.path.relpath(folder))}"

    def _link(self, folder: Path, link: Path) -> None:
        try:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(folder, target_is_directory=True)
        except OSError as error:
            raise UserError(
                f"No link can be made in {self._folder}: {error.strerror or error}. Set the "
                "environment's TMPDIR to a folder where links can be made."
            ) from error
