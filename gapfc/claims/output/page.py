"""claims.html: one page that holds everything, to be sent to a colleague."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import date

from markupsafe import Markup

import gapfc
from gapfc.claims.carry_out import Answer, Tested
from gapfc.claims.output.picture import picture
from gapfc.claims.output.words import (
    because,
    command,
    corrected,
    covers,
    decisive,
    effect,
    margin,
    metrics,
    values,
)
from gapfc.claims.verdict import (
    CONFIDENCE,
    EQUIVALENT,
    NOT_TESTABLE,
    OPPOSITE,
    SUPPORTED,
    UNDECIDED,
)
from gapfc.compare.output.page import inline, templates
from gapfc.compare.output.plots.look import COLOURS
from gapfc.formatting import percent, plural

CLASSES = {
    SUPPORTED: "yes", OPPOSITE: "no", EQUIVALENT: "no", UNDECIDED: "open", NOT_TESTABLE: "open",
}  # fmt: skip


def html_text(tested: Sequence[Tested], preset: str, typed: Sequence[str]) -> str:
    """The whole page; page.html.j2 says what goes where."""
    pictures = {id(each): picture(each) for each in tested}
    style = templates("gapfc.compare.output").get_template("page.css")
    return (
        templates("gapfc.claims.output")
        .get_template("page.html.j2")
        .render(
            tested=tested,
            preset=preset,
            version=gapfc.__version__,
            today=date.today().isoformat(),
            style=Markup(style.render(colours=COLOURS)),
            picture=lambda each: pictures[id(each)],
            inline=inline,
            because=because,
            decisive=decisive,
            kind=lambda verdict: CLASSES[verdict.kind],
            corrected=lambda each: corrected(tested, each),
            margin=margin,
            effect=effect,
            values=values,
            metrics=metrics,
            covers=covers,
            alone=_alone,
            several=len({each.variant for each in tested}) > 1,
            command=lambda each: command(each.claim, typed),
            whole=shlex.join(["gapfc", "claims", *typed]),
            confidence=percent(CONFIDENCE),
            plural=plural,
        )
    )


def _alone(answer: Answer) -> str:
    """What a contrast says by itself, by the claim's margin."""
    words = {
        SUPPORTED: "as the claim says",
        OPPOSITE: "the opposite",
        EQUIVALENT: "less than the margin",
        UNDECIDED: "undecided",
        NOT_TESTABLE: answer.verdict.why,
    }
    return words[answer.verdict.kind]
