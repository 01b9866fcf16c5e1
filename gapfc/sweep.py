"""The sweep: every combination of `a=1,2 b=3,4`, to the end, whatever happens to one of them."""

import sys
import traceback
from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus

_INTERRUPTED = (130, 143)  # exit codes after SIGINT and SIGTERM


class Sweeper(BasicSweeper):
    """Hydra's basic sweeper, but a failed run neither stops nor hides the others.

    It also says which run it is at, writes no multirun.yaml, and exits 1 if a run failed.
    """

    def sweep(self, arguments: list[str]) -> Any:
        """Run all combinations; raises SystemExit(1) if one failed, 130 or 143 if interrupted."""
        assert self.hydra_context is not None
        assert self.launcher is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        swept = tuple(f"{o.get_key_element()}=" for o in overrides if o.is_sweep_override())
        (runs,) = self.split_arguments(overrides, None)
        self.validate_batch_is_legal(runs)  # a misspelt setting shows before the first run starts
        # The basic launcher goes one by one anyway: given single runs, it lets us count them.
        alone = isinstance(self.launcher, BasicLauncher)
        size = 1 if alone else self.max_batch_size or len(runs)
        results: list[JobReturn] = []
        for start in range(0, len(runs), size):
            batch = runs[start : start + size]
            last = "" if len(batch) == 1 else f" to {start + len(batch)}"
            words = f": {_words(batch[0], swept)}" if len(batch) == 1 else ""
            print(f"\n[run {start + 1}{last} of {len(runs)}]{words}", flush=True)
            results += self.launcher.launch(batch, initial_job_idx=start)
            stopped = [code for code in map(_exit_code, results) if code in _INTERRUPTED]
            if stopped:
                sys.exit(stopped[0])
        failed = [run for run, result in zip(runs, results, strict=True) if _exit_code(result)]
        if failed:
            listed = "".join(f"\n  {_words(run, swept)}" for run in failed)
            print(f"gapfc: {len(failed)} of {len(runs)} runs failed:{listed}", file=sys.stderr)
            sys.exit(1)
        return [results]


def _words(run: Sequence[str], swept: tuple[str, ...]) -> str:
    return " ".join(word for word in run if word.startswith(swept))


def _exit_code(result: JobReturn) -> int:
    if result.status is JobStatus.COMPLETED:
        return int(result.return_value or 0)
    # A launcher's worker that died: its exception stands in place of a result.
    if isinstance(result._return_value, BaseException):
        traceback.print_exception(result._return_value)
    return 1
