"""Numbers, times, shapes, names and paths in readable form."""

import difflib
import hashlib
import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

NOTHING = "–"  # if there is no value
LONGEST_NAME = 120  # bytes of a folder's name; file systems take 255


def count(number: float | None) -> str:
    """A count in at most four characters and a letter.

    >>> [count(n) for n in (0, 999, 1234, 56_700, 1.2e9)]
    ['0', '999', '1.23k', '56.7k', '1.20G']
    """
    if number is None:
        return NOTHING
    for letter, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= size * 0.9995:
            return f"{_three_digits(number / size)}{letter}"
    return f"{number:.0f}"


def short_time(seconds: float) -> str:
    """The time of a step, in three digits and a unit.

    >>> [short_time(s) for s in (2.5, 0.01234, 12e-6)]
    ['2.50 s', '12.3 ms', '12.0 µs']
    """
    if seconds >= 1:
        return f"{_three_digits(seconds)} s"
    if seconds >= 1e-3:
        return f"{_three_digits(seconds * 1e3)} ms"
    return f"{_three_digits(seconds * 1e6)} µs"


def duration(seconds: float) -> str:
    """The time of a run, as spoken.

    >>> [duration(s) for s in (45, 720, 12_000)]
    ['45 s', '12 min', '3 h 20 min']
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def probability(p: float | None) -> str:
    """A p value in three digits.

    >>> probability(0.0004), probability(0.0312), probability(1.0), probability(None)
    ('<0.001', '0.031', '1.00', '–')
    """
    if p is None:
        return NOTHING
    if p < 0.001:
        return "<0.001"
    return f"{p:.3f}" if p < 0.0995 else f"{p:.2f}"


def percent(share: float) -> str:
    """A share in [0, 1] with as many digits as it has.

    >>> percent(0.95), percent(0.999)
    ('95%', '99.9%')
    """
    return f"{100 * share:g}%"


def plural(number: int, noun: str) -> str:
    """A number of things.

    >>> plural(1, "run"), plural(3, "run")
    ('1 run', '3 runs')
    """
    return f"{number} {noun}{'s' * (number != 1)}"


def listed(words: Sequence[str]) -> str:
    """Words as in a sentence.

    >>> listed(["fc"]), listed(["fc", "gap"]), listed(["fc", "gap", "nin"])
    ('fc', 'fc and gap', 'fc, gap and nin')
    """
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "", cutoff: float = 0.6) -> str:
    """What goes on a sentence about a word that is not known; `otherwise` where none is near.

    cutoff: of likeness, from 0 to 1.

    >>> did_you_mean("evalute", ["evaluate", "export"]), did_you_mean("x", ["export"], ".")
    ('; did you mean evaluate?', '.')
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {near[0]}?" if near else otherwise


def minus(number: str) -> str:
    """A number with the sign that stands in print, none for 0; it holds no date and no name.

    >>> minus("-0.5"), minus("-0.0 points"), minus("-0.01 to -0.00")
    ('−0.5', '0.0 points', '−0.01 to 0.00')
    """
    return re.sub(r"-(?=0(?:\.0*)?(?![\d.]))", "", number).replace("-", "−")


def decimals(spread: float | None, value: float, least: int = 0, most: int = 4) -> int:
    """Decimals that show two digits of the spread, or three of the value if there is none."""
    size = abs(spread) if spread else abs(value) / 10
    if not size or not math.isfinite(size):
        return 2
    return min(most, max(least, 1 - math.floor(math.log10(size) + 1e-9)))


def times(shape: Iterable[int]) -> str:
    """A shape.

    >>> times((512, 4, 4))
    '512×4×4'
    """
    return "×".join(map(str, shape))


def from_here(path: str | Path) -> str:
    """A path, relative where it lies below the working folder."""
    try:
        return str(Path(path).resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def first_line(text: str) -> str:
    """The first non-empty line."""
    return text.strip().partition("\n")[0].rstrip()


def printable(text: str, longest: int = 200) -> str:
    """`text` in one line of at most `longest` characters, harmless in a terminal.

    What controls a terminal, turns the direction of text or is invisible is spelled out, and so is
    half a surrogate pair, which cannot be written at all. What is too long ends in a digest: two
    names stay two.

    >>> print(printable("gap\\x1b[31m\\n\\u202e"), printable("gap" * 100, 20))
    gap\\x1b[31m\\n\\u202e gapgapgapga…e7e325de
    """
    # A megabyte need not be spelled out.
    begins = text[: longest + 1]
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in begins)
    if len(shown) <= longest:
        return shown
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{shown[: longest - 9]}…{digest}"


def printable_lines(text: str, longest: int = 2000) -> str:
    """The same for each line of `text`, which ends only where \\n says so."""
    return "\n".join(printable(line, longest) for line in text.split("\n"))


def wrapped(line: str, width: int | None, hang: str = "  ") -> str:
    """A line broken at spaces where it is wider than `width`; None: not at all.

    Nothing else is broken, such as a number, a path or a setting; further lines begin with `hang`.

    >>> print(wrapped("fc is 2.2 points better", 12))
    fc is 2.2
      points
      better
    """
    if width is None or len(line) <= width:
        return line
    inside = len(line) - len(line.lstrip(" "))
    return textwrap.fill(
        line.strip(" "), width, break_long_words=False, break_on_hyphens=False,
        initial_indent=" " * inside, subsequent_indent=" " * inside + hang,
    )  # fmt: skip


def no_formula(cell: Any) -> Any:
    """A cell of a CSV file: text that a spreadsheet would take for a formula gets an apostrophe.

    >>> no_formula("=1+1"), no_formula("-0.5"), no_formula(-0.5)
    ("'=1+1", '-0.5', -0.5)
    """
    if not isinstance(cell, str) or not cell.lstrip().startswith(("=", "+", "-", "@")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def folder_name(text: str) -> str:
    """`text` as the name of one folder: no separator, nothing hidden, no option, never empty."""
    name = "".join(c if c.isprintable() and c not in "\\/:" else "\0" for c in text)
    name = re.sub("\0+", "_", name).lstrip(" .-").rstrip(" .")
    if len(name.encode()) > LONGEST_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name.encode()[: LONGEST_NAME - 9].decode(errors='ignore')}-{digest}"
    return name or "unnamed"


def unique(name: str, others: Iterable[str]) -> str:
    """`name`, or `name-2`, `name-3`, …: the first that is neither in `others` nor above one.

    Where one of `others` is above `name`, as `a/b` is above `a/b/c`, its folders become one.
    Some file systems know no difference between upper and lower case.
    """
    taken = [other.casefold() for other in others]
    if any(name.casefold().startswith(f"{other}/") for other in taken):
        name = name.replace("/", "_")
    count, free = 1, name
    while any(f"{other}/".startswith(f"{free.casefold()}/") for other in taken):
        count += 1
        free = f"{name}-{count}"
    return free


def _three_digits(value: float) -> str:
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"
