"""`gapfc inspect`: what models cost, without training them. A table, one row per model."""

import json
import sys
from dataclasses import asdict

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from gapfc.cli.launch import asks_about_settings, launch
from gapfc.data.patience import followed
from gapfc.errors import UserError
from gapfc.formatting import plural
from gapfc.inspection.table import table
from gapfc.settings.arguments import check_arguments
from gapfc.settings.compose import Composer, CompositionError
from gapfc.settings.explain import explain
from gapfc.settings.kinds import check_settings
from gapfc.system.allocator import keep_freed_memory

CONFIG = "inspect"
OWN_OPTIONS = {"--json", "-m", "--multirun"}  # a comma list is a table with or without -m


def main(argv: list[str]) -> int:
    """Describe each combination of comma-separated settings; returns 0, or 1 if one fails."""
    if asks_about_settings(argv):
        return launch("inspect", CONFIG, __name__, [word for word in argv if word != "--json"])
    settings = [word for word in argv if word not in OWN_OPTIONS]
    composer = Composer(settings)
    try:
        check_arguments("inspect", CONFIG, settings)
        overrides = OverridesParser.create(config_loader=composer.loader).parse_overrides(
            [*_of_sweep(composer), *composer.overrides]
        )
        swept = {o.get_key_element() for o in overrides if o.is_sweep_override()}
        (combinations,) = BasicSweeper.split_arguments(overrides, None)
        configs = [composer.compose(CONFIG, combination) for combination in combinations]
        for config in configs:
            check_settings(config)
    except CompositionError as error:
        raise UserError(explain(error, "inspect", CONFIG, settings)) from error
    labels = [
        " ".join(value for key, value in (o.split("=", 1) for o in combination) if key in swept)
        for combination in combinations
    ]
    return show(configs, labels, as_json="--json" in argv)


def _of_sweep(composer: Composer) -> list[str]:
    """What `sweep=…` sweeps over, but for seeds: they change nothing that a model costs."""
    params = composer.load(CONFIG).hydra.sweeper.params or {}
    return [f"{key}={value}" for key, value in params.items() if key != "seed"]


def run(config: DictConfig) -> int:
    """Describe one model, as `main` does for many."""
    return show([config], [config.head.name], as_json=False)


def show(configs: list[DictConfig], labels: list[str], as_json: bool) -> int:
    """Measure and print; returns 1 if a model cannot be built."""
    # Imported here, since torch takes a second: a misspelt head is reported before that.
    from gapfc.inspection.cost import measure_cost

    keep_freed_memory()
    measured = map(measure_cost, configs, labels)
    rows = list(followed(measured, len(configs), f"measuring {plural(len(configs), 'model')}"))
    if as_json:
        json.dump([asdict(row) for row in rows], sys.stdout, indent=2)
        print()
    else:
        print(table(rows))
    return int(any(row.error for row in rows))
