"""The command in the first line of config.yaml can be pasted into a shell."""

from types import SimpleNamespace

from omegaconf import OmegaConf

from gapfc.experiment.invocation import Invocation


def test_the_folder_of_ones_own_settings_is_part_of_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = [str(tmp_path / "my settings")]
    monkeypatch.setattr("gapfc.experiment.invocation.config_dirs", lambda: folders)
    written = []
    directory = SimpleNamespace(write_config=lambda typed, yaml: written.append(typed))
    config = OmegaConf.create({"seed": 0})
    Invocation("train", config, ["head=mine", "seed=1"]).write_config(directory)
    folders.clear()
    Invocation("train", config, ["seed=1"]).write_config(directory)
    assert written == [
        "gapfc train --config-dir 'my settings' head=mine seed=1",
        "gapfc train seed=1",
    ]
