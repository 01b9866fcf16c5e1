"""A run goes on with the settings that it began with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gapfc.errors import UserError
from gapfc.records.identity import changed_settings


def check_same_settings(path: Path, state: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Refuse to continue from the checkpoint `state` at `path` with other settings than its own.

    identity: of the run as it is configured now, see Experiment.identity. Raises UserError.
    """
    recorded = state.get("identity")
    if recorded is None:  # a run from before 0.1.0; to be refused from 0.2.0 on
        return
    try:
        changed = changed_settings(str(recorded), identity)
    except ValueError as error:
        raise UserError(f"{path} does not say which settings it belongs to: {error}") from error
    if changed:
        said = "; ".join(
            f"{key} was {then[:80]} and is {now[:80]} now"
            for key, (then, now) in list(changed.items())[:3]
        )
        raise UserError(
            f"The settings were changed since {path} was written: {said}. To continue this "
            f"run, put config.yaml back as it was; for other settings, start a new run."
        )
