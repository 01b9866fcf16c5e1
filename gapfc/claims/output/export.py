"""claims.json, for programs, and claims.md, for a README."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import gapfc
from gapfc.claims.carry_out import Answer, Tested
from gapfc.claims.output.words import because, command, covers, decisive, margin, told
from gapfc.claims.verdict import CONFIDENCE
from gapfc.compare.output.table import escape
from gapfc.formatting import from_here
from gapfc.records.results import finite

SCHEMA = 1


def json_text(tested: Sequence[Tested], preset: str, typed: Sequence[str]) -> str:
    """All numbers; intervals are of `of` minus `against`, or of the logarithm of their quotient."""
    content = {
        "schema": SCHEMA,
        "gapfc": gapfc.__version__,
        "preset": preset,
        "confidence": CONFIDENCE,
        "claims": [_claim(each, typed) for each in tested],
    }
    return json.dumps(finite(content), indent=2, ensure_ascii=False) + "\n"


def markdown(tested: Sequence[Tested]) -> str:
    """A GitHub table, a row per claim."""
    lines = [
        "| # | claim | verdict | what was measured | margin | seeds × images |",
        "|--:|:--|:--|:--|--:|--:|",
    ]
    for each in tested:
        answer = decisive(each)
        measured = f"{answer.contrast.name}: {'; '.join(filter(None, told(answer)))}"
        cells = [
            str(each.claim.number),
            _cell(each.claim.sentence),
            f"**{each.verdict.kind}** ({_cell(each.variant)})",
            f"{_cell(measured)}<br>{_cell(because(each))}",
            _cell(margin(each.claim)),
            _cell(covers(answer)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return escape(text, 2000)


def _claim(each: Tested, typed: Sequence[str]) -> dict[str, Any]:
    claim, verdict = each.claim, each.verdict
    return {
        "number": claim.number,
        "name": claim.name,
        "sentence": claim.sentence,
        "source": claim.source,
        "data": each.variant,
        "verdict": verdict.kind,
        "why": because(each),
        "decides": decisive(each).contrast.name,
        "p": verdict.p,
        "p_holm": verdict.p_holm,
        "margin": claim.margin,
        "unit": claim.primary[0].unit,
        "reason": claim.reason,
        "limits": claim.limits,
        "primary": [_answer(answer) for answer in each.answers if answer.primary],
        "controls": [_answer(answer) for answer in each.answers if not answer.primary],
        "rates": {name: rate.words for name, rate in each.rates.items()},
        "runs": {
            name: [from_here(run.path) for run in runs.values()] for name, runs in each.runs.items()
        },
        "command": command(claim, typed),
    }


def _answer(answer: Answer) -> dict[str, Any]:
    contrast, measured = answer.contrast, answer.measured
    estimate = measured.estimate
    interval = None if estimate is None else estimate.interval(CONFIDENCE)
    sign = -1 if contrast.says == "lower" else 1
    ends = None if interval is None else sorted((sign * interval.low, sign * interval.high))
    return {
        "name": contrast.name,
        "metric": list(contrast.metrics),
        "against_metric": list(contrast.against_metrics),
        "of": contrast.of,
        "against": contrast.against,
        "says": contrast.says,
        "unit": contrast.unit,
        "shows": contrast.shows,
        "value_of": measured.of,
        "value_against": measured.against,
        "by_seed": {str(seed): list(both) for seed, both in measured.by_seed.items()},
        "mean": None if estimate is None else sign * estimate.mean,
        "interval": ends,
        "covers": None if interval is None else interval.method,
        "seeds": 0 if estimate is None else estimate.seeds,
        "images": 0 if estimate is None else estimate.images,
        "censored": [measured.censored_of, measured.censored_against],
        "verdict_alone": answer.verdict.kind,
        "why": answer.verdict.why,
        "p": answer.verdict.p,
    }
