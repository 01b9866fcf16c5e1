"""What gapfc knows about each launcher: how many runs it does at a time, and what they share."""

import importlib.util
import os
from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher

from gapfc.errors import UserError
from gapfc.settings.paths import CONFIGS
from gapfc.sweep.share import Share, divide, gpus
from gapfc.system.cores import usable_cores

EXTRAS = {
    "hydra_joblib_launcher": "joblib",
    "hydra_submitit_launcher": "slurm",
    "hydra_ray_launcher": "ray",
}


@dataclass(frozen=True)
class Plan:
    """How runs are handed to a launcher.

    Attributes:
        batch: how many it is given at once; it returns once all of them have ended.
        parallel: whether runs are in processes other than this one.
        share: what each may use of this machine; None if a scheduler takes care of that.
    """

    batch: int
    parallel: bool
    share: Share | None = None


def check_installed(target: str) -> None:
    """Raise UserError if the plugin that `target`, a launcher's class, comes from is missing."""
    package, _, rest = target.partition(".")
    name = rest.partition(".")[0]
    if package != "hydra_plugins":
        return
    try:
        found = importlib.util.find_spec(f"{package}.{name}")
    except ModuleNotFoundError:
        found = None
    if found is None:
        extra = EXTRAS.get(name)
        how = f"pip install 'gapfc[{extra}]'" if extra else f"the package {name.replace('_', '-')}"
        raise UserError(
            f"hydra/launcher: {name.replace('_', '-')} is not installed. It needs {how}"
        )


def prefer_own_configs() -> None:
    """Let gapfc's configs/hydra/launcher replace the plugins' own configs of the same names.

    Hydra would take the plugins' for schemas of gapfc's, and warn about that at every launch.
    """
    own = {file.name for file in (CONFIGS / "hydra" / "launcher").iterdir()}
    stored = ConfigStore.instance().repo.get("hydra", {}).get("launcher", {})
    for name in own & stored.keys():
        del stored[name]


def plan(launcher: Launcher, runs: int, most: int | None, device: str) -> Plan:
    """How to hand `runs` runs to `launcher`; fits how many joblib starts at a time.

    Args:
        launcher: of the sweep, set up.
        runs: how many there are to do.
        most: `hydra.sweeper.max_batch_size`.
        device: `trainer.device`.
    """
    if isinstance(launcher, BasicLauncher):
        return Plan(batch=1, parallel=False)
    whole = max(1, min(runs, most or runs))
    kind = type(launcher).__name__
    own: Any = launcher  # of a plugin's class, which may be imported only where it is installed
    if kind not in ("JoblibLauncher", "LocalLauncher"):
        return Plan(batch=whole, parallel=True)
    processors = len(usable_cores())
    devices = () if device == "cpu" else gpus(os.environ)
    usual = len(devices) or processors
    if kind == "JoblibLauncher":
        settings = own.joblib
        asked = settings.get("n_jobs")
        if asked is not None and asked < 0:
            asked = processors + 1 + asked  # as joblib counts
        jobs = max(1, min(asked or usual, whole))
        settings["n_jobs"] = jobs
        batch = whole
    else:
        # submitit's local executor begins at once all that it is given.
        each = own.params.get("cpus_per_task")
        jobs = batch = max(1, min(processors // each if each else usual, whole))
    return Plan(batch, True, divide(jobs, processors, devices, os.environ))
