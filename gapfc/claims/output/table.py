"""The table of verdicts in the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from gapfc.claims.carry_out import Tested
from gapfc.claims.output.words import because, corrected, covers, decisive, effect, margin, values
from gapfc.formatting import printable

LONGEST = 2000  # characters of a paragraph
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


def terminal(tested: Sequence[Tested], width: int = 100, bold: bool = False) -> str:
    """One block per claim: the verdict and the sentence, then the numbers it rests on."""
    several = len({each.variant for each in tested}) > 1
    lines = []
    for each in tested:
        answer = decisive(each)
        verdict = each.verdict.kind.upper()
        label = f"{each.claim.number:>2}  "
        where = f" [{each.variant}]" if several else ""
        head = printable(f"{verdict}{where}: {each.claim.sentence}", LONGEST)
        wrapped = textwrap.wrap(head, max(40, width - 4))
        if bold:
            wrapped[0] = wrapped[0].replace(verdict, f"{BOLD}{verdict}{PLAIN}", 1)
        lines += [label + wrapped[0], *(f"    {line}" for line in wrapped[1:])]
        numbers = [
            f"{answer.contrast.name}: {effect(answer)}",
            values(answer),
            covers(answer),
            f"margin {margin(each.claim)}",
            corrected(tested, each),
        ]
        also = [
            f"{other.contrast.name}: "
            f"{effect(other) if other.measured.estimate else other.measured.obstacle}"
            for other in each.answers
            if other.primary and other is not answer
        ]
        also = [f"Has to hold too: {'; '.join(also)}"] if also else []
        for text in ("; ".join(filter(None, numbers)), *also, because(each)):
            safe = printable(text, LONGEST)
            lines += [f"    {line}" for line in textwrap.wrap(safe, max(40, width - 4))]
        lines.append("")
    return "\n".join(lines[:-1])
