"""How thoroughly claims are tested: seeds, rates and images, the node `preset` of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gapfc.claims.claim import Arm, Settings
from gapfc.errors import UserError
from gapfc.validators import is_number, is_whole, refuse


@dataclass(frozen=True)
class Preset:
    """A file of `configs/preset/`.

    Attributes:
        name: of the file.
        seeds: of every arm. rate_seeds: of them, those by which rates are chosen.
        rates: optimizer.lr to choose from, the smallest first. beyond: the factor by which the grid
            is extended where its edge was best.
        settings: of every run, by dotted key.
        data: by the name of a variant: the settings for each kind of images (pictures, shapes, …).
            A claim gets a verdict for each variant that has the images its arms ask for.
    """

    name: str
    seeds: tuple[int, ...]
    rate_seeds: tuple[int, ...]
    rates: tuple[float, ...]
    beyond: float
    settings: Settings
    data: dict[str, dict[str, Settings]]

    @classmethod
    def of(cls, node: Mapping[str, Any]) -> Preset:
        """From the node `preset`, as plain containers. UserError for an invalid value."""
        seeds, rate_seeds = (_whole(node, key) for key in ("seeds", "rate_seeds"))
        if not set(rate_seeds) <= set(seeds):
            refuse("preset.rate_seeds", "some of preset.seeds", node["rate_seeds"])
        rates = node.get("rates")
        if (
            not isinstance(rates, list)
            or not rates
            or not all(is_number(rate) and rate > 0 for rate in rates)
        ):
            refuse("preset.rates", "a list of learning rates above 0", rates)
        beyond: Any = node.get("beyond")
        if not is_number(beyond) or beyond <= 1:
            refuse("preset.beyond", "a factor above 1", beyond)
        data = node.get("data")
        if not isinstance(data, dict) or not data:
            refuse("preset.data", "variants, each with the settings of its images", data)
        return cls(
            name=str(node["name"]),
            seeds=seeds,
            rate_seeds=rate_seeds,
            rates=tuple(sorted(float(rate) for rate in rates)),
            beyond=float(beyond),
            settings=_flat(node.get("settings") or {}),
            data={
                str(variant): {str(kind): _flat(settings) for kind, settings in kinds.items()}
                for variant, kinds in data.items()
            },
        )

    def on(self, dataset: str) -> Preset:
        """The same with the pictures of `dataset` instead, under the name of that set."""
        kept = {
            variant: {kind: settings for kind, settings in kinds.items() if kind != "pictures"}
            for variant, kinds in self.data.items()
        }
        without = {variant: kinds for variant, kinds in kept.items() if kinds}
        first = next(iter(self.data.values())).get("pictures", {})
        # What belongs to the preset's own set (its sizes, limits) says nothing of another.
        shared = {key: value for key, value in first.items() if not key.startswith("dataset")}
        known = self.data.get(dataset, {}).get("pictures")
        pictures = {"dataset": dataset, **shared} if known is None else known
        others = without.pop(dataset, {})
        return replace(self, data={dataset: {"pictures": pictures, **others}, **without})

    def variants(self, arms: Mapping[str, Arm]) -> list[str]:
        """The variants that have all images that `arms` ask for. UserError if there is none."""
        kinds = {arm.data for arm in arms.values()}
        found = [variant for variant, has in self.data.items() if kinds <= has.keys()]
        if not found:
            raise UserError(
                f"preset={self.name} has no variant with {' and '.join(sorted(kinds))}: a claim's "
                "data is one of "
                f"{', '.join(sorted({kind for has in self.data.values() for kind in has}))}"
            )
        return found


def _whole(node: Mapping[str, Any], key: str) -> tuple[int, ...]:
    found = node.get(key)
    if not isinstance(found, list) or not found or not all(is_whole(n) and n >= 0 for n in found):
        refuse(f"preset.{key}", "a list of seeds, such as [0, 1, 2]", found)
    return tuple(dict.fromkeys(found))


def _flat(node: Mapping[str, Any], prefix: str = "") -> Settings:
    """Nested settings by dotted key; keys may be written dotted as well."""
    flat: Settings = {}
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
