"""A split whose images are files, decoded on demand."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from gapfc.data.framing import SQUASH, Framing
from gapfc.data.patience import followed
from gapfc.data.photo import MAX_PIXELS, UNREADABLE, decode, header_size
from gapfc.data.sizes import Size
from gapfc.errors import UserError
from gapfc.formatting import plural

log = logging.getLogger(__name__)

THREADS = 16  # reading headers is bound by the disk, not the processor


class Files:
    """Image files of any sizes, with their labels: int64 [N].

    skip_corrupt: leave unreadable files out, with a warning that names them, instead of raising
    UserError. max_pixels: an image with more is unreadable. sizes: (h, w) of each file, if known.
    places: int64 [N], of each file among those that the source gave; None: as they are here.
    """

    def __init__(
        self,
        paths: Sequence[str],
        labels: Tensor,
        skip_corrupt: bool = False,
        max_pixels: int = MAX_PIXELS,
        sizes: Sequence[Size] | None = None,
        places: Tensor | None = None,
    ) -> None:
        self.paths = list(paths)
        self.labels = labels
        self.skip_corrupt = skip_corrupt
        self.max_pixels = max_pixels
        self.places = torch.arange(len(self.paths)) if places is None else places
        self._sizes = None if sizes is None else list(sizes)

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, index: Tensor) -> Files:
        """The files at `index` [n] (int64), in that order."""
        chosen = index.tolist()
        sizes = None if self._sizes is None else [self._sizes[i] for i in chosen]
        paths = [self.paths[i] for i in chosen]
        labels, places = self.labels[index], self.places[index]
        return Files(paths, labels, self.skip_corrupt, self.max_pixels, sizes, places)

    def relabel(self, labels: Tensor) -> Files:
        """The same files with other labels [N]."""
        return Files(
            self.paths, labels, self.skip_corrupt, self.max_pixels, self._sizes, self.places
        )

    def read(self, index: int, size: Size | None = None, framing: Framing = SQUASH) -> Tensor:
        """One image: uint8 [3, h, w] (see photo.decode). Raises UserError naming a corrupt file."""
        try:
            return decode(self.paths[index], size, framing, self.max_pixels)
        except UNREADABLE as error:
            raise UserError(corrupt_message([(self.paths[index], error)])) from error

    @property
    def known_sizes(self) -> list[Size] | None:
        """(h, w) of every file, if the headers were opened."""
        return self._sizes

    @property
    def sizes(self) -> list[Size]:
        """Height and width of every file, from its header."""
        if self._sizes is None:
            if self.skip_corrupt:  # a file that cannot be opened fails when it is decoded
                raise UserError(
                    "dataset.image_size=native needs the sizes of all files: "
                    "set dataset.check_headers=true."
                )
            self._sizes = checked([self])[0].known_sizes
            assert self._sizes is not None
        return self._sizes

    def native_sizes(self, max_size: int | None, multiple: int) -> list[Size]:
        """The size each photo is read at under `image_size=native`: see native_size."""
        return [native_size(size, max_size, multiple) for size in self.sizes]

    def median_size(self, max_size: int | None, multiple: int) -> Size:
        """The median height and the median width of native_sizes."""
        sides = torch.tensor(self.native_sizes(max_size, multiple))
        height, width = sides.median(dim=0).values.tolist()
        return (height, width)


def checked(splits: Sequence[Files]) -> list[Files]:
    """The splits with every header opened; unreadable files are left out under skip_corrupt.

    A file that does not end as its format does is decoded (see header_size).

    Otherwise raises UserError naming those of all splits; also if none is left of one of them.
    """

    def look(file: tuple[str, int]) -> Size | Exception:
        try:
            return header_size(*file)
        except UNREADABLE as error:
            return error

    files = [(path, split.max_pixels) for split in splits for path in split.paths]
    with ThreadPoolExecutor(THREADS) as pool:
        doing = f"looking at {len(files):,} photos"
        found = list(followed(pool.map(look, files), len(files), doing))
    bad = _unreadable([path for path, _ in files], found)
    if bad and not all(split.skip_corrupt for split in splits):
        raise UserError(corrupt_message(bad))
    if bad:
        log.warning("Skipped %s", corrupt_message(bad, hint=False))
    kept: list[Files] = []
    for split in splits:
        own, found = found[: len(split)], found[len(split) :]
        good = [i for i, result in enumerate(own) if not isinstance(result, Exception)]
        if not good:
            raise UserError(corrupt_message(_unreadable(split.paths, own), hint=False))
        chosen = split.take(torch.tensor(good, dtype=torch.int64))
        chosen._sizes = [size for size in own if not isinstance(size, Exception)]
        kept.append(chosen)
    return kept


def native_size(size: Size, max_size: int | None, multiple: int) -> Size:
    """A photo's own (h, w), its longer side at most max_size, sides rounded to a multiple.

    Rounding lets batches fill; it changes a side by less than multiple / 2 pixels, but none falls
    below one multiple.
    """
    scale = 1.0 if max_size is None else min(1.0, max_size / max(size))

    def fit(side: int) -> int:
        steps = max(round(side * scale / multiple), 1)
        if max_size is not None and steps * multiple > max_size:
            steps = max(max_size // multiple, 1)
        return steps * multiple

    return (fit(size[0]), fit(size[1]))


def _unreadable(
    paths: Sequence[str], found: Sequence[Size | Exception]
) -> list[tuple[str, Exception]]:
    return [
        (path, result)
        for path, result in zip(paths, found, strict=True)
        if isinstance(result, Exception)
    ]


def corrupt_message(bad: Sequence[tuple[str, BaseException]], hint: bool = True) -> str:
    """One line on the unreadable files: how many, their names (three at most), and why."""
    names = "; ".join(f"{path} ({reason(error)})" for path, error in bad[:3])
    more = f"; and {len(bad) - 3} more" if len(bad) > 3 else ""
    them = "it" if len(bad) == 1 else "them"
    advice = f" Repair or remove {them}, or set dataset.skip_corrupt=true." if hint else ""
    return f"{plural(len(bad), 'unreadable image file')}: {names}{more}.{advice}"


def reason(error: BaseException) -> str:
    """Why an image cannot be read, in a few words."""
    text = (isinstance(error, OSError) and error.strerror) or str(error).split("\n")[0]
    return "not an image" if "cannot identify" in text else text
