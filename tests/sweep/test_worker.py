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
