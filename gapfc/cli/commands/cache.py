"""`gapfc cache`: the features of frozen backbones that are kept on disk, listed or removed."""

import argparse
import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from gapfc.cli.options import Options
from gapfc.errors import UserError
from gapfc.features.store import Entry, Store, cache_folder
from gapfc.formatting import from_here, printable, times

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
SHORT = 6  # characters of a name
WIDEST = 17  # characters of a data set, or a backbone
TITLES = ("name", "images of", "backbone", "at", "maps", "size", "last used")
NUMBERS = (4, 5)  # columns that are flush right
FORMATS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
# What entries differ in that belong together, as those of one run do.
OF_ONE = ("split", "view", "count", "images", "folder")
LOOKS = 3  # columns behind the name by which a person knows an entry
WIDTH = 80


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
    together = _together(store.entries())
    if names and not options.clear:
        raise UserError(f"gapfc cache takes names only with --clear: {' '.join(names)}")
    where = from_here(store.folder)
    if options.clear:
        chosen = _chosen(together, names) if names else together
        for entries in chosen.values() if names else ():
            for entry in entries:
                store.remove(entry)
        if not names:
            store.clear()
        print(printable(f"{where}: {_size(chosen.values())} removed"))
    elif not together:
        print(printable(f"{where} is empty: nothing of a frozen backbone is kept"))
    else:
        print("\n".join(_table(together)))
        clear = shlex.join(["gapfc", "cache", "--clear", *roots])
        print(printable(f"{_size(together.values())} in {where}; {clear} removes it", 2000))
    return 0


def _together(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Entries of one network on one data set, by a name made of what they share; latest first."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        shared = {key: value for key, value in entry.of.items() if key not in OF_ONE}
        text = json.dumps([shared, _place(entry)], sort_keys=True, default=str)
        name = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:SHORT]
        found.setdefault(name, []).append(entry)
    return found


def _place(entry: Entry) -> str:
    """The name of the data set, or the folder of the photos, without that of a split."""
    folder = entry.of.get("folder")
    if not isinstance(folder, str):
        return str(entry.of.get("dataset"))
    name = os.path.basename(folder)
    split = str(entry.of.get("split"))
    return os.path.basename(os.path.dirname(folder)) if name.startswith(split) else name


def _chosen(together: Mapping[str, list[Entry]], names: Iterable[str]) -> dict[str, list[Entry]]:
    chosen = {}
    for name in names:
        found = [each for each in together if name and each.startswith(name)]
        if len(found) != 1:
            problem = "several names begin with" if found else "nothing is called"
            raise UserError(f"{problem} {name}: gapfc cache lists them")
        chosen[found[0]] = together[found[0]]
    return chosen


def _table(together: Mapping[str, list[Entry]]) -> list[str]:
    rows = [TITLES, *(_row(name, entries) for name, entries in together.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(TITLES))]
    lines = [
        "  ".join(
            cell.rjust(width) if column in NUMBERS else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, *cells in rows[1:]:
        alike.setdefault(tuple(cells[:LOOKS]), []).append(name)
    for names in alike.values():
        for name, apart in _apart({name: together[name] for name in names}).items():
            lines[1 + list(together).index(name)] += apart
    return lines


def _apart(together: Mapping[str, list[Entry]]) -> dict[str, str]:
    """By name, a further line of what tells it from the others of `together`, if there are any."""
    facts = {name: _facts(entries) for name, entries in together.items()}
    values: dict[str, set[str]] = {}
    for each in facts.values():
        for key, value in each.items():
            values.setdefault(key, set()).add(value)
    lines = {}
    for name, each in facts.items():
        told = [f"{key} {value}" for key, value in each.items() if len(values[key]) > 1]
        line = f"{' ' * SHORT}  {printable(', '.join(told), 10**4)}"
        cut = line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
        lines[name] = f"\n{cut}" if told else ""
    return lines


def _facts(entries: Sequence[Entry]) -> dict[str, str]:
    """What entries that look the same may differ in, by name; one may lack what others have."""
    of = entries[0].of
    views = len({entry.of.get("view") for entry in entries} - {None})
    found = {key: str(of[key]) for key in ("stages",) if key in of}
    found |= {"views": str(views or "none"), "weights": str(of.get("network"))[:SHORT]}
    for part in ("augment", "inputs", "arithmetic"):
        node = of.get(part)
        found |= {key: str(value) for key, value in node.items()} if isinstance(node, dict) else {}
    return found


def _row(name: str, entries: Sequence[Entry]) -> tuple[str, ...]:
    first = entries[0]
    size = first.of.get("size")
    return (
        name,
        printable(_place(first), WIDEST),
        printable(str(first.of.get("backbone")), WIDEST),
        f"{times(size) if isinstance(size, list) else '?'} {FORMATS[first.number]}",
        f"{sum(entry.shape[0] for entry in entries):,}",
        _size([entries]),
        f"{datetime.fromtimestamp(max(entry.used for entry in entries)):%d %b}",
    )


def _size(groups: Iterable[Iterable[Entry]]) -> str:
    total = sum(entry.bytes for entries in groups for entry in entries)
    return f"{total / 2**30:.1f} GiB" if total >= 2**30 else f"{total / 2**20:.1f} MiB"
