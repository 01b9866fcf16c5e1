"""Which group each group is compared with.

A baseline is given as values of some `--by` keys. A group's baseline is the group with the same
values elsewhere: with `--by dataset,head --baseline fc`, each head is compared with fc on its own
data set; with `--by source.head,protocol --baseline protocol=scratch`, each protocol with training
from scratch under the same head.
"""

from __future__ import annotations

from collections.abc import Sequence

from gapfc.compare.fields import near
from gapfc.compare.groups import Values
from gapfc.compare.where import normalise, split_outside_brackets
from gapfc.errors import UserError

# The obvious references: the classic head, and no transfer at all.
USUAL = {"head": "fc", "source.head": "fc", "protocol": "scratch"}


def parse_baseline(text: str, by: Sequence[str], groups: Sequence[Values]) -> dict[str, str]:
    """`fc`, or `head=fc,head.hidden=[]`, as values by key; a bare value finds its own key.

    Raises UserError for a key that is not in `by`, or a value that no group has.
    """
    spec: dict[str, str] = {}
    for part in split_outside_brackets(text):
        key, equals, value = part.partition("=")
        if equals:
            if key not in by:
                raise UserError(f"--baseline {part}: {key} is not among --by {','.join(by)}")
        else:
            value = part
            key = _key_of(normalise(value), by, groups)
        value = normalise(value)
        present = sorted({values[by.index(key)] for values in groups})
        if value not in present:
            raise UserError(f"--baseline {part}: {key} takes {', '.join(present)}")
        spec[key] = value
    if not _matching(spec, by, groups):
        raise UserError(f"--baseline {text}: no group has these values together")
    return spec


def _key_of(value: str, by: Sequence[str], groups: Sequence[Values]) -> str:
    keys = [key for index, key in enumerate(by) if any(v[index] == value for v in groups)]
    if len(keys) == 1:
        return keys[0]
    if keys:
        raise UserError(f"--baseline {value}: is it {' or '.join(f'{k}={value}' for k in keys)}?")
    labels = sorted({value for values in groups for value in values})
    close = near(value, labels)
    hint = f"did you mean {', '.join(close)}? " if close else ""
    raise UserError(f"--baseline {value}: {hint}the groups have {', '.join(labels[:20])}")


def usual_baseline(by: Sequence[str], groups: Sequence[Values]) -> dict[str, str]:
    """The baseline when none is given: scratch, or fc, or the first group in name order.

    Of several such groups the first in name order, unless every group has its own among them.
    """
    for key in ("protocol", "head", "source.head"):
        if key in by and any(values[by.index(key)] == USUAL[key] for values in groups):
            spec = {key: USUAL[key]}
            if all(baseline_of(values, spec, by, groups) is not None for values in groups):
                return spec
            return dict(zip(by, min(_matching(spec, by, groups)), strict=True))
    return dict(zip(by, min(groups), strict=True))


def _matching(spec: dict[str, str], by: Sequence[str], groups: Sequence[Values]) -> list[Values]:
    return [v for v in groups if all(v[by.index(key)] == value for key, value in spec.items())]


def baseline_of(
    values: Values, spec: dict[str, str], by: Sequence[str], groups: Sequence[Values]
) -> Values | None:
    """The group that `values` is compared with; itself for a baseline, None where there is none.

    A spec that fits one group only is the baseline of all.
    """
    matching = _matching(spec, by, groups)
    if len(matching) == 1:
        return matching[0]
    wanted = tuple(spec.get(key, value) for key, value in zip(by, values, strict=True))
    return wanted if wanted in matching else None
