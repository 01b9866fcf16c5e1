"""A claim read from its YAML file, with what is wrong in it said by its key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn, cast, get_args

from gapfc.claims.claim import NO_RATE, OWN_RATE, Arm, Claim, Contrast, Says, Unit
from gapfc.errors import UserError
from gapfc.formatting import printable
from gapfc.records.stored_text import parse_yaml
from gapfc.settings.compose import CLAIM, Composer
from gapfc.validators import is_number, is_whole

_KEYS = (
    "number", "sentence", "source", "margin", "unit", "reason", "limits", "data", "settings",
    "arms", "primary", "controls",
)  # fmt: skip
_CONTRAST_KEYS = (
    "name", "metric", "of", "against", "against_metric", "says", "unit", "shows",
)  # fmt: skip
_ARM_KEYS = ("data", "rate", "source", "seeds")


def read_claims(composer: Composer) -> list[Claim]:
    """gapfc's, and those in `claim/` below the user's --config-dir, by number.

    Raises UserError as `parse_claim`.
    """
    claims = [
        parse_claim(name, composer.text(f"{CLAIM}/{name}")) for name in composer.choices(CLAIM)
    ]
    return sorted(claims, key=lambda claim: (claim.number, claim.name))


def parse_claim(name: str, text: str) -> Claim:
    """The claim in the YAML `text` of the file claim/`name`.yaml.

    Raises UserError that names the key and what it takes.
    """
    where = f"claim/{name}.yaml"
    try:
        content = parse_yaml(text)
    except ValueError as error:
        raise UserError(f"{where} cannot be read: {printable(str(error), 200)}") from error
    if not isinstance(content, dict):
        raise UserError(f"{where} holds no claim: it takes the keys {', '.join(_KEYS)}")
    reader = _Reader(where)
    reader.known(content, _KEYS, "")
    unit = reader.one_of(content, "unit", get_args(Unit), "points")
    margin: Any = content.get("margin")
    least = 1 if unit == "factor" else 0
    if not is_number(margin) or margin <= least:
        reader.refuse("margin", f"a number above {least}, fixed before the runs are made", margin)
    if not is_whole(content.get("number")) or content["number"] < 1:
        reader.refuse("number", "a whole number of 1 or more", content.get("number"))
    arms = _arms(reader, content)
    # Written once for all contrasts of a claim, where they have it in common.
    usual = {"unit": unit}
    items = reader.items(content, "primary")
    if not items:
        reader.refuse("primary", "the contrast that decides, or a list of them", None)
    primary = tuple(_contrast(reader, "primary", item, arms, usual) for item in items)
    for contrast in primary:
        if contrast.unit != unit:
            reader.refuse("primary.unit", f"{unit}, the unit of the margin", contrast.unit)
    return Claim(
        name=name,
        number=content["number"],
        sentence=reader.text(content, "sentence"),
        source=reader.text(content, "source"),
        margin=float(margin),
        reason=reader.text(content, "reason"),
        limits=reader.text(content, "limits"),
        arms=arms,
        primary=primary,
        controls=tuple(
            _contrast(reader, "controls", item, arms, {**usual, **_of(items[0])})
            for item in reader.items(content, "controls")
        ),
    )


def _of(primary: Mapping[str, Any]) -> dict[str, Any]:
    """What a control has from the primary contrast unless it says otherwise."""
    keys = ("metric", "against_metric", "says", "of", "against")
    return {key: primary[key] for key in keys if key in primary}


def _arms(reader: _Reader, content: Mapping[str, Any]) -> dict[str, Arm]:
    shared = reader.mapping(content, "settings")
    reader.settings("settings", shared)
    given = reader.mapping(content, "arms")
    if not given:
        reader.refuse("arms", "names of arms, each with its settings, as in gap: {head: gap}", None)
    data = reader.name("data", content.get("data", "pictures"))
    arms = {}
    for name, settings in given.items():
        if name in (OWN_RATE, NO_RATE):
            reader.refuse("arms", f"other names than {OWN_RATE} and {NO_RATE}", name)
        if not isinstance(settings, dict):
            reader.refuse(f"arms.{name}", "settings, as in {head: gap}", settings)
        own = {key: value for key, value in settings.items() if key not in _ARM_KEYS}
        reader.settings(f"arms.{name}", own)
        seeds = settings.get("seeds")
        if seeds is not None and (not is_whole(seeds) or seeds < 1):
            reader.refuse(f"arms.{name}.seeds", "a whole number of 1 or more", seeds)
        arms[name] = Arm(
            name=name,
            data=reader.name(f"arms.{name}.data", settings.get("data", data)),
            settings={**shared, **own},
            rate=reader.name(f"arms.{name}.rate", settings.get("rate", OWN_RATE)),
            source=settings.get("source"),
            seeds=seeds,
        )
    for arm in arms.values():
        if arm.rate not in (OWN_RATE, NO_RATE):
            reader.arm(f"arms.{arm.name}.rate", arm.rate, arms)
        if arm.source is not None:
            reader.arm(f"arms.{arm.name}.source", arm.source, arms)
    for arm in arms.values():
        if arm.source is not None and arms[arm.source].source is not None:
            reader.refuse(
                f"arms.{arm.name}.source", "an arm that is trained from scratch", arm.source
            )
    return {name: _rooted(reader, arm, arms) for name, arm in arms.items()}


def _rooted(reader: _Reader, arm: Arm, arms: Mapping[str, Arm]) -> Arm:
    """`arm`, with the arm that chooses its rate for `rate`, however many say "as that one"."""
    seen = [arm.name]
    rate = arm.rate
    while rate in arms and arms[rate].rate in arms:
        if rate in seen:
            reader.refuse(f"arms.{arm.name}.rate", "an arm that chooses its own rate", arm.rate)
        seen.append(rate)
        rate = arms[rate].rate
    if rate in arms and arms[rate].rate == NO_RATE:
        rate = NO_RATE
    return replace(arm, rate=rate)


def _contrast(
    reader: _Reader,
    place: str,
    item: Mapping[str, Any],
    arms: Collection[str],
    usual: Mapping[str, Any],
) -> Contrast:
    if not isinstance(item, dict):
        reader.refuse(place, f"a contrast with the keys {', '.join(_CONTRAST_KEYS)}", item)
    reader.known(item, _CONTRAST_KEYS, f"{place}.")
    item = {**usual, **item}
    metrics = reader.metrics(item, f"{place}.metric", "metric")
    of = reader.arm(f"{place}.of", item.get("of"), arms)
    against = reader.arm(f"{place}.against", item.get("against", of), arms)
    others = reader.metrics(item, f"{place}.against_metric", "against_metric", metrics)
    if of == against and metrics == others:
        reader.refuse(f"{place}.against", "another arm, or an against_metric", against)
    name = item.get("name") or (f"{of} against {against}" if of != against else of)
    return Contrast(
        name=str(name),
        metrics=metrics,
        of=of,
        against=against,
        against_metrics=others,
        says=cast(Says, reader.one_of(item, "says", get_args(Says), None, f"{place}.")),
        unit=cast(Unit, reader.one_of(item, "unit", get_args(Unit), "points", f"{place}.")),
        shows=str(item.get("shows", "")).strip(),
    )


@dataclass(frozen=True)
class _Reader:
    """Reads what a person has written in the file `where`, and says what is wrong with it."""

    where: str

    def refuse(self, key: str, takes: str, value: object) -> NoReturn:
        got = "nothing is there" if value is None else f"got {printable(str(value), 80)}"
        raise UserError(f"{self.where}: {printable(key, 80)} takes {takes}; {got}")

    def known(self, node: Mapping[str, Any], keys: Collection[str], prefix: str) -> None:
        for key in node:
            if key not in keys:
                near = difflib.get_close_matches(key, keys, n=1)
                hint = f"did you mean {prefix}{near[0]}?" if near else f"it takes {', '.join(keys)}"
                raise UserError(f"{self.where}: no key {printable(prefix + key, 80)}; {hint}")

    def text(self, node: Mapping[str, Any], key: str) -> str:
        value = node.get(key)
        if not isinstance(value, str) or not value.strip():
            self.refuse(key, "a sentence or more", value)
        return " ".join(str(value).split())

    def mapping(self, node: Mapping[str, Any], key: str) -> dict[str, Any]:
        value = node.get(key, {})
        if not isinstance(value, dict):
            self.refuse(key, "keys and values", value)
        return dict(value)

    def name(self, place: str, value: object) -> str:
        if not isinstance(value, str) or not value:
            self.refuse(place, "a name", value)
        return str(value)

    def settings(self, place: str, node: Mapping[str, Any]) -> None:
        for key, value in node.items():
            if not re.fullmatch(r"[A-Za-z_][\w.]*", key):
                self.refuse(place, "dotted keys of gapfc train", key)
            if isinstance(value, dict):
                self.refuse(f"{place}.{key}", f"one value; write {key}.… with a dot", value)

    def items(self, node: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
        value = node.get(key) or []
        return list(value) if isinstance(value, list) else [value]

    def one_of(
        self, node: Mapping[str, Any], key: str, words: Collection[str], usual: str | None,
        prefix: str = "",
    ) -> str:  # fmt: skip
        value = node.get(key, usual)
        if value not in words:
            self.refuse(f"{prefix}{key}", " or ".join(words), value)
        return str(value)

    def metrics(
        self, node: Mapping[str, Any], place: str, key: str, usual: tuple[str, ...] = ()
    ) -> tuple[str, ...]:
        value = node.get(key, list(usual))
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not found or not all(isinstance(m, str) for m in found):
            self.refuse(place, "a metric such as test.accuracy, or a list of them", value)
        return tuple(found)

    def arm(self, place: str, value: object, arms: Collection[str]) -> str:
        if not isinstance(value, str) or value not in arms:
            near = difflib.get_close_matches(str(value), arms, n=1)
            hint = f" (did you mean {near[0]}?)" if near and value is not None else ""
            self.refuse(place, f"one of the arms {', '.join(arms)}{hint}", value)
        return value
