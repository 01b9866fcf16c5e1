"""`gapfc claims`: what people say of GAP and fc, each with a verdict."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from gapfc.claims.carry_out import Tested, Trial
from gapfc.claims.claim import Claim, Settings
from gapfc.claims.claim_file import read_claims
from gapfc.claims.output.export import json_text, markdown
from gapfc.claims.output.page import html_text
from gapfc.claims.output.table import terminal
from gapfc.claims.preset import Preset
from gapfc.claims.runs import Runs, quietly
from gapfc.errors import UserError
from gapfc.evaluation.evaluate import evaluate_runs
from gapfc.formatting import did_you_mean, from_here
from gapfc.records.atomic import atomic_write_text
from gapfc.settings.compose import Composer, config_dirs
from gapfc.settings.nodes import plain
from gapfc.settings.trust import Vouched
from gapfc.system.interruption import Interrupted

# What is of this command alone; all else that is typed goes to the runs.
OWN = ("only", "preset", "output_root", "trust", "dataset")
# What claims settle for each run, and what to type instead.
SETTLED = {
    "seed": "type preset.seeds=[0,1,2]",
    "head": "the arms of a claim have theirs (docs/claims.md says how to write one of your own)",
    "optimizer.lr": "type preset.rates=[0.001,0.003,0.01]",
    "resume": "the same command goes on where it was stopped",
    "rerun": "give another output_root",
}


def run(config: DictConfig) -> int:
    """Test the claims that `config.only` names; the exit code: 0, or 129, 130, 143 if stopped."""
    words = list(HydraConfig.get().overrides.task)
    folders = [word for folder in config_dirs() for word in ("--config-dir", folder)]
    claims = _chosen(read_claims(Composer(folders)), config.only)
    preset = Preset.of(plain(config.preset))
    settings = _typed(words)
    _refuse_without_effect(settings, claims)
    dataset = next((word.partition("=")[2] for word in words if word.startswith("dataset=")), None)
    if dataset is not None:
        preset = preset.on(dataset)
    folder = Path(config.output_root).expanduser()
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
    except (Interrupted, KeyboardInterrupt) as error:  # in a run, or between two
        stop = error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT)
        print(f"\n{stop}. The same command goes on where it was stopped.", file=sys.stderr)
        return stop.exit_code
    _show(tested, preset.name, [*folders, *words], folder)
    return 0


def _probe(paths: Sequence[Path], probes: Sequence[str], vouched: Vouched) -> dict[Path, str]:
    found = evaluate_runs(paths, probes, vouched, progress=sys.stderr.isatty())
    given = {path.resolve(): path for path in paths}
    return {given[done.run.path]: done.problems[0] for done in found if done.problems}


def _chosen(claims: Sequence[Claim], only: object) -> list[Claim]:
    if only is None:
        return list(claims)
    wanted = only if isinstance(only, Sequence) and not isinstance(only, str) else [only]
    asked = [str(word) for word in wanted]
    for word in asked:
        if not any(word in (str(claim.number), claim.name) for claim in claims):
            told = ", ".join(f"{claim.number} ({claim.name})" for claim in claims)
            hint = did_you_mean(word, [claim.name for claim in claims], ".")
            raise UserError(f"only={word}: no such claim{hint} There are {told}")
    return [claim for claim in claims if {str(claim.number), claim.name} & set(asked)]


def _typed(words: Sequence[str]) -> Settings:
    """What was typed for the runs, by key."""
    settings: Settings = {}
    for override in OverridesParser.create().parse_overrides(list(words)):
        key = override.get_key_element()
        if key.lstrip("+~") in OWN or key.startswith("preset."):
            continue
        if key.lstrip("+") in SETTLED:
            raise UserError(
                f"{override.input_line}: claims settle that for each run; "
                f"{SETTLED[key.lstrip('+')]}"
            )
        if override.is_sweep_override() or override.is_delete():
            raise UserError(f"{override.input_line}: gapfc claims takes one value for each setting")
        # None would take the preset's value out; the word is given on as it was typed.
        settings[key] = "null" if override.value() is None else override.value()
    return settings


def _refuse_without_effect(settings: Settings, claims: Sequence[Claim]) -> None:
    arms = [arm for claim in claims for arm in claim.arms.values()]
    for key, value in settings.items():
        if all(key.lstrip("+") in arm.settings for arm in arms):
            raise UserError(
                f"{key}={value}: each arm of these claims has a {key.lstrip('+')} of its own; "
                "docs/claims.md says how to write a claim of your own"
            )


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
