"""results.json, schema 1: what a run found, in the form that everything downstream reads."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import gapfc
from gapfc.errors import UserError
from gapfc.formatting import first_line
from gapfc.records.stored_text import MIB, parse_json, read_text

RESULTS = "results.json"
SCHEMA = 1
MOST = 16 * MIB
Status = Literal["completed", "failed", "interrupted"]
STATUSES = get_args(Status)

_NUMBER = (int, float)
_NULL = type(None)
# Every key of the schema with the types it takes; all but the first block may be null, which
# means that the run did not get that far.
FIELDS: dict[str, tuple[type, ...]] = {
    "schema": (int,),
    "status": (str,),
    "command": (str,),
    "seed": (int,),
    "group": (str,),
    "dataset": (str,),
    "backbone": (str,),
    "head": (str,),
    "error": (str, _NULL),
    "device": (str, _NULL),
    "precision": (str, _NULL),
    "threads": (int, _NULL),
    "cores": (int, _NULL),
    "world_size": (int, _NULL),
    "gapfc": (str, _NULL),
    "torch": (str, _NULL),
    "git": (str, _NULL),
    "parameters": (dict, _NULL),
    "macs": (dict, _NULL),
    "feature_map": (list, _NULL),
    "input": (list, _NULL),
    "epochs": (*_NUMBER, _NULL),
    "steps": (int, _NULL),
    "train_seconds": (*_NUMBER, _NULL),
    "images_per_second": (*_NUMBER, _NULL),
    "peak_memory_bytes": (int, _NULL),
    "train": (dict, _NULL),
    "val": (dict, _NULL),
    "test": (dict, _NULL),
    "best_epoch": (int, _NULL),
    "generalization_gap": (dict, _NULL),
    "convergence": (dict, _NULL),
}
# Of these, runs of before say nothing.
ADDED = frozenset({"threads", "cores", "world_size"})


class ResultsError(UserError):
    """There is no results.json, or it does not follow schema 1; the message says why."""


def build_results(**fields: Any) -> dict[str, Any]:
    """All keys of schema 1, in its order, from the ones given; what is absent is null.

    Fills in `schema` and `gapfc`. Keys beyond the schema are kept, after it. Raises ValueError
    when a required key is missing or a value has the wrong type.
    """
    fields = {"schema": SCHEMA, "gapfc": gapfc.__version__, **fields}
    extra = {name: value for name, value in fields.items() if name not in FIELDS}
    results = finite({name: fields.get(name) for name in FIELDS} | extra)
    validate_results(results)
    return results


def validate_results(results: Mapping[str, Any]) -> None:
    """ValueError if `results` does not follow schema 1."""
    if results.get("schema") != SCHEMA:
        raise ValueError(f"schema {SCHEMA} expected, found {results.get('schema')!r}")
    for name, types in FIELDS.items():
        if name not in results:
            if name in ADDED:
                continue
            raise ValueError(f"{name!r} is missing")
        value = results[name]
        if not isinstance(value, types) or isinstance(value, bool):
            expected = " or ".join("null" if t is _NULL else t.__name__ for t in types)
            raise ValueError(f"{name!r} is {value!r}, and should be {expected}")
    if results["status"] not in STATUSES:
        raise ValueError(f"'status' is {results['status']!r}, and should be one of {STATUSES}")


def read_results(path: str | Path) -> dict[str, Any]:
    """The results of a run directory, or of a results.json; ResultsError if there is none."""
    path = Path(path)
    file = path / RESULTS if path.is_dir() else path
    try:
        results = parse_json(read_text(file, MOST))
    except FileNotFoundError as error:
        raise ResultsError(
            f"{path} has no {RESULTS}: the run has not ended, or was killed. Finish it with "
            f"resume={path}."
        ) from error
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else first_line(str(error))
        raise ResultsError(f"{file} cannot be read: {said}") from error
    if not isinstance(results, dict):
        raise ResultsError(f"{file} is not a gapfc results.json")
    try:
        validate_results(results)
    except ValueError as error:
        raise ResultsError(f"{file} is not a results.json of this gapfc: {error}") from error
    return results


def finite(value: Any) -> Any:
    """`value` as JSON has it: nan and infinities become None, array scalars plain numbers."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
