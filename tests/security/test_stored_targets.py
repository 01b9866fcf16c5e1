"""A stranger's run or checkpoint is never run as a program: whatever its settings name."""

import copy
import sys
from pathlib import Path

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from gapfc.engine import checkpoint
from gapfc.errors import UserError
from gapfc.experiment import begin
from gapfc.records.run import read_run
from gapfc.settings.nodes import construct
from gapfc.settings.trust import Vouched, admit
from gapfc.transfer.source import read_source

TRAIN = (
    "train", "dataset=synthetic_shapes", "dataset.train_images=40", "dataset.test_images=20",
    "backbone.widths=[4,4]", "backbone.pool_after=[1]", "trainer.epochs=1", "schedule=constant",
    "trainer.device=cpu", "dataset.image_size=16",
)  # fmt: skip

# Each would write the file {mark}. What a node of a config can call, in the ways that are known.
CALLS = [
    {"_target_": "os.system", "command": "touch {mark}"},
    {"_target_": "posix.system", "command": "touch {mark}"},
    {"_target_": "subprocess.run", "args": ["touch", "{mark}"]},
    {"_target_": "subprocess.Popen", "args": ["touch", "{mark}"]},
    {"_target_": "subprocess.check_output", "_args_": [["touch", "{mark}"]]},
    {"_target_": "subprocess.getoutput", "cmd": "touch {mark}"},
    {"_target_": "os.popen", "cmd": "touch {mark}"},
    {"_target_": "os.mkdir", "path": "{mark}"},
    {"_target_": "os.mknod", "path": "{mark}"},
    {"_target_": "os.symlink", "src": "/etc/passwd", "dst": "{mark}"},
    {"_target_": "builtins.exec", "_args_": ["open('{mark}', 'w')"]},
    {"_target_": "builtins.eval", "_args_": ["open('{mark}', 'w')"]},
    {"_target_": "builtins.open", "file": "{mark}", "mode": "w"},
    {"_target_": "io.open", "file": "{mark}", "mode": "w"},
    {"_target_": "pathlib.Path.write_text", "_args_": [
        {"_target_": "pathlib.Path", "_args_": ["{mark}"]}, "x"]},
    {"_target_": "pathlib.Path.touch", "_args_": [
        {"_target_": "pathlib.Path", "_args_": ["{mark}"]}]},
    {"_target_": "shutil.copy", "src": "/etc/hostname", "dst": "{mark}"},
    {"_target_": "shutil.copytree", "src": "/etc/apt", "dst": "{mark}"},
    {"_target_": "torch.utils.collect_env.run", "command": "touch {mark}"},
    {"_target_": "torch.hub.load", "repo_or_dir": "{folder}", "model": "m", "source": "local"},
    {"_target_": "torch.hub.download_url_to_file", "url": "file:///etc/hostname", "dst": "{mark}"},
    {"_target_": "torch.load", "f": "{pickle}", "weights_only": False},
    {"_target_": "torch.save", "obj": [1], "f": "{mark}"},
    {"_target_": "torch.optim.sgd.os.system", "command": "touch {mark}"},
    {"_target_": "torch.optim.optimizer.torch.save", "obj": [1], "f": "{mark}"},
    {"_target_": "torchvision.io.write_file", "filename": "{mark}", "data": []},
    {"_target_": "numpy.load", "file": "{pickle}", "allow_pickle": True},
    {"_target_": "numpy.save", "file": "{mark}", "arr": [1]},
    {"_target_": "joblib.load", "filename": "{pickle}"},
    {"_target_": "joblib.dump", "value": 1, "filename": "{mark}"},
    {"_target_": "pickle.loads", "data": "cos\nsystem\n(S'touch {mark}'\ntR."},
    {"_target_": "importlib.import_module", "name": "innocent"},
    {"_target_": "runpy.run_path", "path_name": "{folder}/innocent.py"},
    {"_target_": "innocent.Head"},
    {"_target_": "yaml.unsafe_load", "stream": "!!python/object/apply:os.system ['touch {mark}']"},
    {"_target_": "hydra.utils.instantiate", "config": {
        "_target_": "os.system", "command": "touch {mark}"}},
    {"_target_": "hydra.utils.call", "config": {"_target_": "os.mkdir", "path": "{mark}"}},
    {"_target_": "gapfc.records.atomic.atomic_write_text", "path": "{mark}", "text": "x"},
    {"_target_": "gapfc.settings.nodes.construct", "node": {
        "_target_": "os.mkdir", "path": "{mark}"}},
    {"_target_": "gapfc.heads.gap.torch.save", "obj": [1], "f": "{mark}"},
    {"_target_": "zipfile.ZipFile", "file": "{mark}", "mode": "w"},
    {"_target_": "logging.FileHandler", "filename": "{mark}"},
    {"_target_": "sqlite3.connect", "database": "{mark}"},
    {"_target_": "tempfile.mkdtemp", "dir": "{folder}", "prefix": "mark"},
    {"_target_": "code.InteractiveInterpreter.runsource", "_args_": [None, "1"]},
]  # fmt: skip
GAP = {"name": "gap", "_target_": "gapfc.heads.GAP"}
# Where in a config: dotted node -> what stands there, with the call in it.
PLACES = {
    "head": lambda call: {"name": "gap", **call},
    "backbone": lambda call: {"name": "convnet", **call},
    "schedule": lambda call: {"name": "constant", **call},
    "optimizer": lambda call: {"name": "adamw", **call},
    "dataset": lambda call: {"name": "digits", "image_size": 16, **call},
    "head.hidden": lambda call: call,
    "head.deep": lambda call: {"a": [[{"b": call}]]},
    "augment": lambda call: {"name": "none", "flip": call},
    "trainer.targets": lambda call: [0.5, call],
    "source": lambda call: {"options": call},
}
STEERING = [
    {"head._partial_": True},
    {"head._args_": [1]},
    {"head._recursive_": False},
    {"head._convert_": "none"},
    {"backbone.pool._target_": "gapfc.heads.GAP"},
    {"head._target_": "torch.optim.SGD"},
    {"head._target_": ["gapfc.heads.GAP"]},
    {"head._target_": {"_target_": "os.system"}},
    {"optimizer._target_": "torch.optim.lr_scheduler.StepLR"},
    {"optimizer._target_": "torch.optim.Nothing"},
    {"_target_": "gapfc.heads.GAP"},
    {"hydra": {"searchpath": ["file:///tmp"]}},
    {"output_root": "${oc.env:SECRET}"},
    {"head.name": "${oc.env:SECRET}"},
    {"head.hidden": ["${seed}"]},
]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A completed run, and beside it what payloads need: a pickle, and a module."""
    import processes

    folder = tmp_path_factory.mktemp("strangers")
    code, _, stderr = processes.run(*TRAIN, folder=folder)
    assert code == 0, stderr
    (run,) = folder.glob("outputs/train/*/*/*/*")
    return run


class Stranger:
    """A run directory made from a good one, whose settings can be replaced."""

    def __init__(self, template: Path, folder: Path) -> None:
        self.config = copy.deepcopy(dict(read_run(template).config))
        self.state = checkpoint.load(template / "checkpoints" / "best.pt")["model"]
        self.path = folder / "run"
        self.mark = folder / "mark"
        (self.path / "checkpoints").mkdir(parents=True)
        results = (template / "results.json").read_text()
        (self.path / "results.json").write_text(results)
        # A module in the run's own folder, as the working folder may be.
        module = f"open({str(self.mark)!r}, 'w')\nclass Head: pass\n"
        (self.path / "innocent.py").write_text(module)
        (self.path / "hubconf.py").write_text(module)
        pickle = f"cposix\nsystem\n(S'touch {self.mark}'\ntR."
        (self.path / "pickle").write_text(pickle)

    def fill(self, value):
        """A payload with its places filled in."""
        if isinstance(value, dict):
            return {key: self.fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if isinstance(value, str):
            for word, text in (
                ("{mark}", self.mark), ("{folder}", self.path), ("{pickle}", self.path / "pickle")
            ):  # fmt: skip
                value = value.replace(word, str(text))
        return value

    def write(self, changes: dict) -> None:
        """config.yaml and best.pt with `changes`, by dotted key."""
        config = copy.deepcopy(self.config)
        for key, value in changes.items():
            node = config
            *parents, last = key.split(".")
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = self.fill(value)
        text = yaml.safe_dump(config)
        (self.path / "config.yaml").write_text(f"# gapfc train head=gap\n{text}")
        checkpoint.save(self.path / "checkpoints/best.pt", {"model": self.state, "config": text})

    def refused(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What is said when it is taken as a source, by its path and by best.pt, and resumed."""
        monkeypatch.chdir(self.path)
        said = []
        for use in (
            lambda: read_source(self.path, Vouched()),
            lambda: read_source(self.path / "checkpoints/best.pt", Vouched()),
            lambda: begin.resume("train", str(self.path), [], _never, Vouched()),
        ):
            with pytest.raises(UserError) as caught:
                use()
            said.append(str(caught.value))
        assert not list(self.path.parent.glob("mark*"))
        assert "innocent" not in sys.modules
        return said


def _never(config):
    raise AssertionError("a refused config was built from")


@pytest.fixture
def stranger(template: Path, tmp_path: Path) -> Stranger:
    return Stranger(template, tmp_path)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call["_target_"])
def test_nothing_but_known_classes_is_called(call, stranger, monkeypatch):
    place = list(PLACES)[CALLS.index(call) % len(PLACES)]
    stranger.write({place: PLACES[place](call)})
    for said in stranger.refused(monkeypatch):
        assert "config.yaml" in said or "best.pt" in said
        assert len(said.splitlines()) == 2
        assert "trust=true" in said


@pytest.mark.parametrize("place", PLACES)
def test_it_is_refused_wherever_it_stands(place, stranger, monkeypatch):
    call = {"_target_": "os.system", "command": "touch {mark}"}
    stranger.write({place: PLACES[place](call)})
    for said in stranger.refused(monkeypatch):
        assert f"{place}" in said
        assert "_target_=os.system, which is not one of gapfc's classes" in said


@pytest.mark.parametrize("changes", STEERING, ids=str)
def test_what_steers_a_call_is_refused(changes, stranger, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    stranger.write(changes)
    (key,) = changes
    for said in stranger.refused(monkeypatch):
        assert key in said
        assert "hunter2" not in said


def test_what_gapfc_wrote_is_admitted(template, stranger):
    stranger.write({})
    for path in (stranger.path, stranger.path / "checkpoints/best.pt"):
        source = read_source(path, Vouched())
        assert source.config == OmegaConf.create(stranger.config)


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "AdamW"])
def test_optimisers_of_torch_are_known(name, stranger):
    stranger.write({"optimizer._target_": f"torch.optim.{name}"})
    assert read_source(stranger.path, Vouched()).config.optimizer._target_ == f"torch.optim.{name}"


def test_the_user_may_vouch_for_classes(stranger):
    config = stranger.config | {"head": {"name": "mine", "_target_": "mine.Head"}}
    for vouched in (Vouched(everything=True), Vouched(targets=frozenset({"mine.Head"}))):
        assert admit(config, "here", vouched).head._target_ == "mine.Head"
    with pytest.raises(UserError, match=r"here says head\._target_=mine\.Head, which is not one"):
        admit(config, "here", Vouched(targets=frozenset({"mine.Other"})))


def test_even_then_an_interpolation_is_refused(stranger):
    with pytest.raises(UserError, match="stored settings never do"):
        admit(stranger.config | {"seed": "${oc.env:HOME}"}, "here", Vouched(everything=True))


@pytest.mark.slow
def test_the_command_line_refuses_and_trusts(template, stranger, gapfc):
    """By --config-dir, by trust=true; a run's own words (`trust: true` in it) count for nothing."""
    own = "from gapfc.heads import GAP\nclass Mine(GAP):\n    pass\n"
    (gapfc.folder / "own.py").write_text(own)
    (gapfc.folder / "conf/head").mkdir(parents=True)
    (gapfc.folder / "conf/head/mine.yaml").write_text("name: gap\n_target_: own.Mine\n")
    stranger.write({"head._target_": "own.Mine", "trust": True})
    ask = ("transfer", f"source={stranger.path}", "dataset=digits", "dataset.train_limit=60",
           "protocol=linear_probe", "trainer.device=cpu")  # fmt: skip
    refused = gapfc(*ask)
    assert refused.returncode == 2
    assert "head._target_=own.Mine, which is not one of gapfc's classes" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert gapfc(*ask, "trust=true").returncode == 0
    assert gapfc(*ask, "--config-dir", "conf", "rerun=true").returncode == 0


def test_a_module_in_the_working_folder_is_no_part_of_python_until_it_is_asked_for(gapfc):
    """Optional imports of libraries would otherwise find a stranger's file of that name."""
    for name in ("tensorflow", "hydra_plugins", "intel_extension_for_pytorch", "sitecustomize"):
        (gapfc.folder / f"{name}.py").write_text("open('mark', 'w')\n")
    (gapfc.folder / "hydra_plugins.py").unlink()
    (gapfc.folder / "hydra_plugins").mkdir()
    (gapfc.folder / "hydra_plugins/bad.py").write_text("open('mark', 'w')\n")
    assert gapfc(*TRAIN).returncode == 0
    assert not (gapfc.folder / "mark").exists()


def test_construct_finds_a_users_own_class_beside_the_run(tmp_path, monkeypatch):
    (tmp_path / "beside.py").write_text(
        "class Layer:\n    def __init__(self, n):\n        self.n = n\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert construct({"_target_": "beside.Layer", "n": 3}).n == 3
    with pytest.raises(UserError, match=r"there is no beside\.Other"):
        construct({"_target_": "beside.Other"})


def test_a_hostile_pickle_in_a_checkpoint_is_refused(stranger, monkeypatch):
    class Bad:
        def __reduce__(self):
            return exec, (f"open({str(stranger.mark)!r}, 'w')",)

    stranger.write({})
    torch.save({"format": 1, "model": Bad()}, stranger.path / "checkpoints/best.pt")
    with pytest.raises(UserError, match=r"best\.pt is damaged or not a checkpoint"):
        read_source(stranger.path, Vouched())
    assert not stranger.mark.exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trainer.epochs": "many"}, "trainer.epochs takes a whole number"),
        ({"augment.flip": [1]}, "augment.flip takes true or false"),
        ({"head.hidden": {"a": 1}}, "head.hidden takes a list of widths"),
        ({"data_root": None}, "data_root takes a path"),
    ],
)
def test_values_of_the_wrong_kind_are_named_with_the_file(changes, said, stranger):
    stranger.write(changes)
    with pytest.raises(UserError, match=r"config\.yaml: ") as caught:
        begin.resume("train", str(stranger.path), [], _never, Vouched())
    assert said in str(caught.value)


@pytest.mark.parametrize("name", [".lock", "run.log", "metrics.csv", "checkpoints/last.pt"])
def test_a_link_in_a_run_does_not_lead_its_writing_elsewhere(name, stranger, tmp_path):
    stranger.write({})
    own = tmp_path / "bashrc"
    own.write_text("alias ll='ls -l'\n")
    (stranger.path / name).unlink(missing_ok=True)
    (stranger.path / name).symlink_to(own)
    with pytest.raises(UserError, match="a link or a pipe"):
        begin.resume("train", str(stranger.path), [], _never, Vouched())
    assert own.read_text() == "alias ll='ls -l'\n"


def test_nor_does_a_link_in_place_of_its_checkpoints(stranger, tmp_path):
    stranger.write({})
    other = tmp_path / "other"
    (stranger.path / "checkpoints").rename(other)
    (other / ".kept.1.tmp").touch()
    before = {path.name: path.read_bytes() for path in other.iterdir()}
    (stranger.path / "checkpoints").symlink_to(other)
    with pytest.raises(UserError, match="a link or a pipe"):
        begin.resume("train", str(stranger.path), [], _never, Vouched())
    assert {path.name: path.read_bytes() for path in other.iterdir()} == before
