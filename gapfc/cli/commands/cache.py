"""`gapfc cache`: the features of frozen backbones that are kept on disk, listed or removed."""

import argparse
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from gapfc.cli.options import Options
from gapfc.errors import UserError
from gapfc.features.store import Entry, Store, cache_folder
from gapfc.formatting import from_here, plural, printable, times

DESCRIPTION = """\
Where a backbone is frozen (backbone.trainable=none or last), gapfc train and
gapfc transfer compute what it makes of each image once, and keep it for further
heads, seeds and runs. This lists what is kept, and --clear removes it: it is
computed again when it is needed.
"""
EXAMPLES = """\
examples:
  gapfc cache
  gapfc cache --clear
  gapfc cache --clear 3f0a 91bc

settings:
  cache_root=FOLDER      where it is kept, if not in $GAPFC_CACHE,
                         $XDG_CACHE_HOME/gapfc or ~/.cache/gapfc

In gapfc train, trainer.cache_gib limits it: what was not used for longest goes.
"""
SHORT = 8  # characters of an entry's name
TITLES = ("name", "data set", "images", "of", "backbone", "at", "format", "size", "last used")
NUMBERS = (2, 7)  # columns that are flush right


def parser() -> argparse.ArgumentParser:
    """The options of `gapfc cache`."""
    usage = "gapfc cache [--clear [NAME …]] [cache_root=FOLDER]"
    made = Options("cache", DESCRIPTION, EXAMPLES, usage)
    made.add_argument("words", nargs="*", metavar="NAME", help="entries to remove; none: all")
    made.add_argument("--clear", action="store_true", help="remove entries")
    return made


def main(argv: list[str]) -> int:
    """List or remove entries; returns 0. Raises UserError for a name that there is not."""
    options = parser().parse_intermixed_args(argv)
    roots = [word for word in options.words if word.startswith("cache_root=")]
    names = [word for word in options.words if word not in roots]
    store = Store(cache_folder(roots[-1].partition("=")[2] if roots else None), 0)
    entries = store.entries()
    if names and not options.clear:
        raise UserError(f"gapfc cache takes names only with --clear: {' '.join(names)}")
    where = from_here(store.folder)
    if options.clear:
        chosen = _chosen(entries, names) if names else entries
        if names:
            for entry in chosen:
                store.remove(entry)
        else:
            store.clear()
        removed = plural(len(chosen), "entry").replace("entrys", "entries")
        print(printable(f"{where}: {removed} removed, {_size(chosen)}"))
    elif not entries:
        print(printable(f"{where} is empty: nothing of a frozen backbone is kept"))
    else:
        print("\n".join(_table(entries)))
        clear = shlex.join(["gapfc", "cache", "--clear", *roots])
        print(printable(f"{_size(entries)} in {where}; {clear} removes it"))
    return 0


def _chosen(entries: Sequence[Entry], names: Iterable[str]) -> list[Entry]:
    chosen = []
    for name in names:
        found = [entry for entry in entries if name and entry.path.name.startswith(name)]
        if len(found) != 1:
            problem = "several entries begin with" if found else "no entry is called"
            raise UserError(f"{problem} {name}: gapfc cache lists them")
        chosen += found
    return chosen


def _table(entries: Sequence[Entry]) -> list[str]:
    rows = [TITLES, *map(_row, entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(TITLES))]
    return [
        "  ".join(
            cell.rjust(width) if column in NUMBERS else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _row(entry: Entry) -> tuple[str, ...]:
    of = entry.of
    view = of.get("view")
    split = str(of.get("split")) + (f", view {view + 1}" if isinstance(view, int) else "")
    size = of.get("size")
    return (
        entry.path.name[:SHORT],
        _name(of, "dataset"),
        f"{entry.shape[0]:,}",
        printable(split, 20),
        _name(of, "backbone"),
        times(size) if isinstance(size, list) else "",
        entry.number,
        _size([entry]),
        f"{datetime.fromtimestamp(entry.used):%Y-%m-%d %H:%M}",
    )


def _name(of: Mapping[str, Any], key: str) -> str:
    return printable(str(of.get(key)), 24)


def _size(entries: Iterable[Entry]) -> str:
    total = sum(entry.bytes for entry in entries)
    return f"{total / 2**30:.1f} GiB" if total >= 2**30 else f"{total / 2**20:.1f} MiB"
