"""The sweep: every combination of `a=1,2 b=3,4`, to the end, even if some fail."""

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from gapfc.errors import UserError
from gapfc.formatting import duration, from_here, plural
from gapfc.records.next_commands import next_commands
from gapfc.records.probes import missing_probes
from gapfc.records.run import earlier_run
from gapfc.sweep import launchers
from gapfc.sweep.claim import is_free
from gapfc.sweep.outcomes import LEFT, Outcome, key, outcomes_below
from gapfc.sweep.progress import ends, failures, one_ended, until_end
from gapfc.sweep.stopping import Stopping
from gapfc.sweep.worker import Task, Worker, without_hydra
from gapfc.system.interruption import EXIT_CODES

Combination = tuple[str, ...]  # the overrides of one run


class Sweeper(BasicSweeper):
    """Hydra's basic sweeper, but a failed run neither stops nor hides the others.

    It says which run it is at and when it should end, leaves out what is already in output_root,
    lists failures with their reasons, and writes no multirun.yaml.
    """

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """As Hydra's; raises UserError where the launcher is not installed."""
        launchers.check_installed(config.hydra.launcher._target_)
        task = cast(Task, task_function)
        self.worker = Worker(task, folder=config.hydra.runtime.cwd)
        super().setup(hydra_context=hydra_context, task_function=self.worker, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Run what is left to do; raises SystemExit: 1 if a run failed, 129 to 143 if stopped."""
        assert self.hydra_context is not None
        assert self.launcher is not None
        assert self.config is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        self.swept = [o.get_key_element() for o in overrides if o.is_sweep_override()]
        swept = tuple(f"{key}=" for key in self.swept)
        (combinations,) = self.split_arguments(overrides, None)
        self.words = {  # a combination typed twice is one run
            tuple(run): " ".join(word for word in run if word.startswith(swept)) or "one run"
            for run in combinations
        }
        self.runs = list(self.words)
        self.start = time.monotonic()
        configs = self._leave_out_finished()
        todo = list(configs)
        plan = launchers.plan(
            self.launcher, len(todo), self.max_batch_size, self.config.trainer.device
        )
        if plan.share is not None or not plan.parallel:  # the runs see this machine's disk
            for config in configs.values():
                self.worker.task.check_sources(config)
        with outcomes_below(self.config.output_root) as self.outcomes:
            self.worker.outcomes = self.outcomes
            self.worker.quiet, self.worker.share = plan.parallel, plan.share
            if type(self.launcher).__name__ == "JoblibLauncher":
                self.worker.parent = os.getpid()
            code, now = 0, todo
            while now and not code:
                code = self._in_parallel(now, plan) if plan.parallel else self._one_by_one(now)
                now = [] if code else self._wait_for_others(todo)
            self._conclude(todo, code)
        return []

    def _leave_out_finished(self) -> dict[Combination, DictConfig]:
        assert self.hydra_context is not None
        assert self.config is not None
        todo = {}
        for number, run in enumerate(self.runs, 1):
            # Of all runs, so that a misspelt setting shows before the first one starts.
            config = self.hydra_context.config_loader.load_sweep_config(self.config, list(run))
            earlier = None
            if not config.rerun and config.resume is None:
                try:
                    earlier = earlier_run(self.worker.task.command, without_hydra(config))
                except (OmegaConfBaseException, AttributeError, KeyError, TypeError):
                    earlier = None  # the run itself will say what is wrong with its settings
            probes = config.trainer.get("probes") or ()
            if earlier and earlier.completed and not missing_probes(earlier.path, probes):
                print(f"[run {number} of {len(self.runs)}]: {self.words[run]}")
                print(f"  already there: skipped  {from_here(earlier.path)}")
            else:
                todo[run] = config
        skipped = len(self.runs) - len(todo)
        if skipped:
            print(f"{skipped} of {len(self.runs)} runs already exist (rerun=true: run anew)")
        sys.stdout.flush()
        return todo

    def _wait_for_others(self, todo: Sequence[Combination]) -> list[Combination]:
        """The runs that another sweep was at work on, once it has let go of some of them."""
        ended = self.outcomes.ended()
        left = {
            run: Path(outcome.path or "")
            for run in todo
            if (outcome := ended.get(key(run))) and outcome.code == LEFT
        }
        while left:
            free = [run for run, path in left.items() if is_free(path)]
            if free:
                for run in free:
                    self.outcomes.forget(key(run))
                return free
            time.sleep(1)
        return []

    def _one_by_one(self, todo: list[Combination]) -> int:
        seconds: list[float] = []
        for done, run in enumerate(todo):
            left = until_end(seconds, waiting=len(todo) - done, running=0, places=1)
            after = len(todo) - done - 1
            print(
                f"\n[run {self.runs.index(run) + 1} of {len(self.runs)}]: {self.words[run]}"
                f" · {f'{after} left after it' if after else 'the last'}{ends(left)}",
                flush=True,
            )
            outcome = self._launch([run])[run]
            if outcome.code != LEFT:
                seconds.append(outcome.seconds)
            if outcome.code in EXIT_CODES:
                return outcome.code
        return 0

    def _in_parallel(self, todo: list[Combination], plan: launchers.Plan) -> int:
        if not todo:
            return 0
        if plan.share is not None:
            gpus = f", GPUs {', '.join(plan.share.gpus)} in turn" if plan.share.gpus else ""
            print(
                f"{plan.share.jobs} runs at a time, {plan.share.threads} threads each{gpus}; "
                "run.log in each run's folder has its output",
                flush=True,
            )
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(todo, ended), daemon=True)
        watcher.start()
        try:
            with Stopping(self.outcomes) as stopping:
                for start in range(0, len(todo), plan.batch):
                    if stopping.code is None:
                        self._launch(todo[start : start + plan.batch])
        finally:
            ended.set()
            watcher.join()
        return stopping.code or 0

    def _launch(self, batch: list[Combination]) -> dict[Combination, Outcome]:
        """Run `batch`, each run to an outcome; one whose process died is begun once more."""
        assert self.launcher is not None
        keys = {run: key(run) for run in batch}
        tries: Counter[Combination] = Counter()
        missing = batch
        while missing and not self.outcomes.stopping:
            died: BaseException | None = None
            try:
                number = self.runs.index(missing[0])
                results = self.launcher.launch([list(run) for run in missing], number)
                died = next(filter(None, map(_raised, results)), None)
            except Exception as error:
                died = error
            begun, ended = self.outcomes.begun(), self.outcomes.ended()
            missing = [run for run in missing if keys[run] not in ended]
            if self.outcomes.stopping:
                break
            tries.update(run for run in missing if keys[run] in begun)
            if missing and not begun:
                what = f"{type(died).__name__}: {died}" if died else "no run was begun"
                raise UserError(f"hydra/launcher={self._launcher_name()}: {what}") from died
            for run in missing:
                if tries[run] > 1 or died is None:
                    reason = f"its process died: {died}" if died else "its process died"
                    self.outcomes.end(keys[run], Outcome(1, reason=reason))
            missing = [run for run in missing if tries[run] <= 1 and died is not None]
        ended = self.outcomes.ended()
        return {run: ended[keys[run]] for run in batch if keys[run] in ended}

    def _launcher_name(self) -> str:
        assert self.config is not None
        return str(self.config.hydra.runtime.choices.get("hydra/launcher"))

    def _watch(self, todo: Sequence[Combination], all_ended: threading.Event) -> None:
        """Print a line for each run that ends, until all have."""
        runs = {key(run): run for run in todo}
        told: dict[str, Outcome] = {}
        places = 1
        while True:
            last = all_ended.wait(0.3)
            ended = self.outcomes.ended()
            begun = [name for name in self.outcomes.begun() if name not in ended]
            places = max(places, len(begun))
            for name in sorted(ended.keys() - told.keys()):
                told[name] = ended[name]
                waiting = len(todo) - len(ended) - len(begun)
                seconds = [outcome.seconds for outcome in told.values()]
                left = until_end(seconds, waiting, len(begun), places)
                at = len(self.runs) - len(todo) + len(told)
                print(
                    f"[{at} of {len(self.runs)}]: {one_ended(self.words[runs[name]], ended[name])}"
                    f" · {len(todo) - len(told)} left{ends(left) if len(told) < len(todo) else ''}",
                    flush=True,
                )
            if last:
                return

    def _conclude(self, todo: Sequence[Combination], code: int) -> None:
        assert self.config is not None
        sys.stdout.flush()
        ended = self.outcomes.ended()
        outcomes = {run: ended[key(run)] for run in todo if key(run) in ended}
        completed = sum(not outcome.code for outcome in outcomes.values())
        failed = {
            self.words[run]: outcome
            for run, outcome in outcomes.items()
            if outcome.code and not (code and outcome.code in (*EXIT_CODES, LEFT))
        }
        if failed:
            print(failures(failed, len(self.runs)), file=sys.stderr)
        if code:
            left = len(todo) - completed - len(failed)
            print(
                f"gapfc: stopped; {left} of {len(self.runs)} runs are left. Run the same command "
                "to finish them.",
                file=sys.stderr,
            )
            sys.exit(code)
        root = str(self.config.output_root)
        self.worker.task.after_sweep(root)
        if completed:
            took = duration(time.monotonic() - self.start)
            print(f"\n{plural(completed, 'run')} in {took}.")
        if len(failed) < len(self.runs):
            print(next_commands(root, self.worker.task.command, self.swept))
        sys.stdout.flush()
        if failed:
            sys.exit(1)


def _raised(result: JobReturn) -> BaseException | None:
    value = result._return_value
    failed = result.status is not JobStatus.COMPLETED
    return value if failed and isinstance(value, BaseException) else None
