"""Runs that `gapfc claims` made below a folder of others: many kinds, each for one question."""

from collections.abc import Sequence
from pathlib import Path

CLAIMS = "claims"


def without_claims(roots: Sequence[Path], paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Those of `paths` that are to be shown, and those of claims that are left out.

    Left out is what lies in the folder `claims` directly below one of `roots`; where there is
    nothing else, it is what is asked for, and shown.
    """
    claims, others = list[Path](), list[Path]()
    for path in paths:
        (claims if any(_is_of_claims(root, path) for root in roots) else others).append(path)
    return (others, claims) if others else (claims, [])


def _is_of_claims(root: Path, path: Path) -> bool:
    return path.is_relative_to(root) and path.relative_to(root).parts[:1] == (CLAIMS,)
