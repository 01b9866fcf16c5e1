"""A run of a sweep in the process that its launcher has given it."""

from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from gapfc.sweep import worker


@pytest.mark.parametrize("tasks", [True, False])
@pytest.mark.parametrize("why", ["stopping", "claimed"])
def test_tasks_of_a_run_that_does_not_begin_are_let_go(tasks, why, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the worker goes where its sweep was started
    left, ended = [], []
    monkeypatch.setattr(worker, "adopt_tasks", lambda: tasks)
    words = SimpleNamespace(overrides=SimpleNamespace(task=["head=gap"]))
    monkeypatch.setattr(worker.HydraConfig, "get", lambda: words)

    def claimed(self, config):
        raise worker._Claimed(tmp_path)

    monkeypatch.setattr(worker.Worker, "_claim", claimed)
    outcomes = SimpleNamespace(stopping=why == "stopping", end=lambda *end: ended.append(end))
    task = SimpleNamespace(command="train", leave=lambda: left.append(True))
    run = worker.Worker(task, str(tmp_path), outcomes, quiet=True)
    run(OmegaConf.create({}))
    assert left == [True] * tasks
    assert len(ended) == (why == "claimed")


@pytest.mark.parametrize(
    ("code", "submitit", "ends"),
    [(worker.REQUEUED, True, False), (141, True, True), (worker.REQUEUED, False, True)],
)
def test_a_run_that_slurm_will_begin_again_has_not_ended(
    code, submitit, ends, tmp_path, monkeypatch
):
    monkeypatch.setattr(worker, "adopt_tasks", lambda: False)
    monkeypatch.setattr(worker, "by_submitit", lambda: submitit)
    monkeypatch.chdir(tmp_path)
    ended = []
    words = SimpleNamespace(overrides=SimpleNamespace(task=["head=gap"]))
    monkeypatch.setattr(worker.HydraConfig, "get", lambda: words)
    monkeypatch.setattr(worker, "_silence", lambda config: None)
    outcomes = SimpleNamespace(
        stopping=False, begin=lambda run: None, end=lambda run, outcome: ended.append(outcome.code)
    )

    class Task:
        command = "train"

        def __call__(self, config, show):
            raise SystemExit(code)

    run = worker.Worker(Task(), str(tmp_path), outcomes, quiet=True)
    with pytest.raises(SystemExit):
        run(OmegaConf.create({}))
    assert ended == [1] * ends
