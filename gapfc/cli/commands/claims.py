"""`gapfc claims`: what people say of GAP and fc, each with a verdict."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig

from gapfc.claims.carry_out import Tested, Trial
from gapfc.claims.claim import Claim, Settings, parse_claim
from gapfc.claims.output.export import json_text, markdown
from gapfc.claims.output.page import html_text
from gapfc.claims.output.table import terminal
from gapfc.claims.preset import Preset
from gapfc.claims.runs import Runs, quietly
from gapfc.errors import UserError
from gapfc.evaluation.evaluate import evaluate_runs
from gapfc.formatting import from_here
from gapfc.records.atomic import atomic_write_text
from gapfc.settings.compose import Composer, config_dirs
from gapfc.settings.nodes import plain
from gapfc.settings.trust import Vouched
from gapfc.system.interruption import Interrupted

# What is of this command alone; all else that is typed goes to the runs.
OWN = ("only", "preset", "output_root", "trust", "dataset")


def run(config: DictConfig) -> int:
    """Test the claims that `config.only` names; the exit code: 0, or 129, 130, 143 if stopped."""
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        raise UserError("gapfc claims makes its own sweeps: leave out -m, and name claims by only=")
    words = list(HydraConfig.get().overrides.task)
    claims = _chosen(_all_claims(), config.only)
    preset = Preset.of(plain(config.preset))
    settings = _typed(words)
    dataset = next((word.partition("=")[2] for word in words if word.startswith("dataset=")), None)
    if dataset is not None:
        preset = preset.on(dataset)
    settings |= {"output_root": str(config.output_root), "trainer.progress": False}
    vouched = Vouched.by(config)
    trial = Trial(
        preset=preset,
        typed=settings,
        runs=Runs(vouched),
        probe=lambda paths, probes: _probe(paths, probes, vouched),
        tell=lambda line: print(line, flush=True),
    )
    try:
        with quietly():
            tested = trial.test(claims)
    except Interrupted as stop:
        print(f"\n{stop}. The same command goes on where it was stopped.", file=sys.stderr)
        return stop.exit_code
    _show(tested, preset.name, words, Path(config.output_root).expanduser())
    return 0


def _probe(paths: Sequence[Path], probes: Sequence[str], vouched: Vouched) -> None:
    for done in evaluate_runs(paths, probes, vouched, progress=sys.stderr.isatty()):
        for problem in done.problems:
            print(f"  {from_here(done.run.path)}: {problem}", flush=True)


def _all_claims() -> list[Claim]:
    """gapfc's, and those in `claim/` below the user's --config-dir, by number."""
    folders = [word for folder in config_dirs() for word in ("--config-dir", folder)]
    composer = Composer(folders)
    names = composer.groups().get("claim", [])
    claims = [parse_claim(name, composer.text(f"claim/{name}")) for name in names]
    return sorted(claims, key=lambda claim: (claim.number, claim.name))


def _chosen(claims: Sequence[Claim], only: object) -> list[Claim]:
    if only is None:
        return list(claims)
    wanted = [only] if isinstance(only, str | int) else list(only)  # type: ignore[call-overload]
    known = {str(claim.number): claim for claim in claims} | {claim.name: claim for claim in claims}
    for word in wanted:
        if str(word) not in known:
            told = ", ".join(f"{claim.number} ({claim.name})" for claim in claims)
            raise UserError(f"only={word}: no such claim. There are {told}")
    found = [known[str(word)] for word in wanted]
    return [claim for claim in claims if claim in found]


def _typed(words: Sequence[str]) -> Settings:
    """What was typed for the runs, by key."""
    settings: Settings = {}
    for override in OverridesParser.create().parse_overrides(list(words)):
        key = override.get_key_element()
        if key.lstrip("+~") in OWN or key.startswith("preset."):
            continue
        if override.is_sweep_override():
            raise UserError(f"{override.input_line}: gapfc claims takes one value for each setting")
        settings[key] = override.value()
    return settings


def _show(tested: Sequence[Tested], preset: str, words: Sequence[str], folder: Path) -> None:
    width = shutil.get_terminal_size((100, 40)).columns if sys.stdout.isatty() else 100
    bold = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(f"\n{terminal(tested, width, bold)}\n")
    texts = {
        "claims.json": json_text(tested, preset, words),
        "claims.md": markdown(tested),
        "claims.html": html_text(tested, preset, words),
    }
    for name, text in texts.items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            atomic_write_text(folder / name, text)
        except OSError as error:
            raise UserError(f"{folder / name} cannot be written: {error.strerror}") from error
    print(f"Wrote {', '.join(texts)} to {from_here(folder)}")
