"""The command line as a user meets it: in a fresh folder, by subprocess."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from processes import children_seconds

from gapfc.cli.registry import COMMANDS
from gapfc.cli.yaml_comments import heading, key_comments

SHORT = ("trainer.epochs=1", "dataset.train_limit=40", "dataset.test_limit=20")


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_overview_names_each_command_with_an_example(gapfc, arguments):
    done = gapfc(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    for command in COMMANDS.values():
        assert command.summary in done.stdout
        assert f"$ {command.example}" in done.stdout


def test_overview_is_quick_and_imports_neither_torch_nor_hydra():
    code = (
        "import sys, gapfc.cli.main as c; c.dispatch([]); "
        "sys.exit(any(m in sys.modules for m in ('torch', 'hydra', 'numpy', 'omegaconf')))"
    )
    fastest = 9.0
    for _ in range(3):
        start = children_seconds()
        assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
        fastest = min(fastest, children_seconds() - start)
    assert fastest < 0.5


def test_version(gapfc):
    import gapfc as package

    assert gapfc("--version").stdout == f"gapfc {package.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "did you mean train?"),
        (["head=gap"], "needs a command before it: gapfc train head=gap"),
        (["train", "head=gapp"], "head=gapp: no such head; did you mean gap"),
        (
            ["train", "head=gapp"],
            "head takes attn, fc, gap, gapgmp, gem, gmp, lse, nin, spp, spp_fixed",
        ),
        (["train", "trainer.epoch=3"], "no setting 'trainer.epoch'; did you mean trainer.epochs?"),
        (["train", "head.levels=[1]"], "head (gap) takes name, hidden"),
        (["train", "dataset.train_dir=x"], "'dataset.train_dir' belongs to dataset=folder: take "),
        (["train", "sed=1"], "did you mean seed"),
        (["train", "heads=gap"], "no setting 'heads'; did you mean head?"),
        (["train", "epochs=3"], "no setting 'epochs'; did you mean trainer.epochs?"),
        (["train", "+trainer.epoch=3"], "did you mean trainer.epochs?"),
        (["train", "+experimnt=x"], "did you mean experiment?"),
        (["train", "+trainer.epochs=3"], "already exists: leave out the +"),
        (["train", "head.hidden=[1"], "cannot read 'head.hidden=[1'"),
        (["train", "head=fc,gap"], "add -m to run once for each"),
        (["train", "seed=abc"], "seed takes a whole number from 0 to 2^63 - 1; got abc"),
        (["train", "trainer.compile=1"], "trainer.compile takes true or false; got 1"),
        (["train", "--ifo"], "no option --ifo; did you mean --info?"),
        (["train", "head._target_=gapfc.heads.Foo"], "there is no gapfc.heads.Foo"),
        (["train", "trainer.device=tpu"], "trainer.device takes auto, cpu or cuda"),
        (["train", "-m", "head=gap,gapp"], "head=gapp: no such head"),
        (["train", "experiment=[nope]"], "experiment=nope: no such experiment\nexperiment takes c"),
        (["train", "head=../../x"], "head=../../x: no such head\nhead takes attn, fc, gap, "),
        (["inspect", "head=gap,gapp"], "head=gapp: no such head"),
        (["-sc", "install=tcsh"], "bash, zsh, fish"),
        (["-hlep"], "no option -hlep; did you mean --help? (gapfc --help)"),
        (["xyzzy"], "no command 'xyzzy'. There are train, transfer"),
        (["train", "head"], "'head' needs a choice: head=attn, for example"),
        (["train", "seed"], "'seed' needs a value: seed=…"),
        (["train", "nin"], "'nin' is no setting; did you mean backbone=nin or head=nin?"),
        (["train", "xyzzy"], "'xyzzy' is no setting: those are written key=value"),
        (["claims", "3"], "'3' is no setting; did you mean only=3?"),
        (["claims", "translation"], "did you mean only=translation?"),
        (["train", "seed="], "seed takes a whole number from 0 to 2^63 - 1; got nothing"),
        (["train", "head=[gap]"], "(several, without brackets, with -m); got [gap]"),
        (["train", "experiment=fashon_mnist"], "experiment=fashon_mnist: no such experiment; did"),
        (["train", "experiment=a,b"], "experiment=a,b is several values: add -m to run once"),
        (["train", "trainer.epochs=1,2"], "trainer.epochs=1,2 is several values: add -m"),
        (["train", "head.hidden=[8],[9]"], "head.hidden=[8],[9] is several values: add -m"),
        (["train", "head=middle"], "sppf, and those in head/ of a --config-dir"),
        (["train", "--config-dir", "nowhere"], "--config-dir nowhere: there is no such folder"),
        (["train", "--config-dir"], "--config-dir/-cd: expected one argument"),
        (["train", "dataset.workers=500"], "takes a whole number from 0 to 128, or auto; got 500"),
        (["claims", "only=transfr"], "only=transfr: no such claim; did you mean transfer?"),
        (["claims", "only=[3,11]"], "only=11: no such claim. There are 1 (parameters), 2 ("),
        (["claims", "-m", "only=3"], "gapfc claims makes its own sweeps: leave out -m"),
    ],
)
def test_a_wrong_setting_is_named_in_one_or_two_lines(gapfc, arguments, words):
    done = gapfc(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.startswith("gapfc: error: ")
    assert done.stderr.count("\n") <= 2
    assert entries(gapfc.folder) == []


def test_an_unexpected_error_keeps_its_traceback():
    code = (
        "import gapfc.cli.launch as app; app.importlib = None\n"
        "print(*app.CommandTask('train', 'nowhere')({}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("1 AttributeError: 'NoneType'")
    assert "Traceback (most recent call last)" in done.stderr
    assert "AttributeError: 'NoneType'" in done.stderr


def test_help_explains_every_key_by_the_comments_of_the_files(gapfc):
    done = gapfc("train", "--help", "head=spp", env={"COLUMNS": "100"})
    assert done.returncode == 0
    assert re.search(r"head= .* gap .*spp\*", done.stdout)
    assert "n×n bins for each n" in done.stdout
    assert "0.0001" not in done.stdout
    text = files("gapfc.configs").joinpath("train.yaml").read_text()
    joined = " ".join(done.stdout.split())
    for key, comment in key_comments(text).items():
        if not key.startswith(("hydra", "defaults")):
            assert f"{key}=" in joined
            assert comment.split(",")[0].split(":")[0] in joined
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize("command", [name for name in COMMANDS if COMMANDS[name].config])
def test_help_fits_a_terminal_and_begins_with_commands_to_type(gapfc, command):
    done = gapfc(command, "--help", env={"COLUMNS": "80"})
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    typed = [line.partition("$ ")[2] for line in lines[:12] if line.startswith("  $ ")]
    assert typed[0] == COMMANDS[command].example
    more = [re.split("  +", line)[0] for line in typed[1:]]
    assert more == [words for words, _ in COMMANDS[command].more]
    assert not re.search(r"^  \+", done.stdout.partition("Options")[0], re.M)  # no plus to type


def test_help_of_claims_lists_them_and_nothing_that_they_settle(gapfc):
    said = gapfc("claims", "--help", env={"COLUMNS": "100"}).stdout
    numbers = re.findall(r"^ +(\d+)  \w+ +[A-Z]", said, re.M)
    assert numbers == [str(number) for number in range(1, 11)]
    assert "   3  translation          GAP is more robust to translation than fully" in said
    assert not re.search(r"^ +(head|seed|optimizer\.lr|resume|rerun)=", said, re.M)
    assert "--multirun" not in said
    assert "preset.seeds=[0, 1, 2, 3, 4]" in said


def test_what_claims_settle_is_what_they_refuse():
    from gapfc.cli.commands.claims import SETTLED

    assert set(COMMANDS["claims"].settles) == {"head", *SETTLED}


@pytest.mark.parametrize("word", ["experiment=fashion_mnist", "+experiment=fashion_mnist"])
@pytest.mark.parametrize("command", ["train", "inspect"])
def test_an_experiment_is_chosen_with_or_without_a_plus(gapfc, command, word):
    done = gapfc(command, word, "--cfg", "job", "-p", "dataset")
    assert (done.returncode, done.stderr) == (0, "")
    assert "name: fashion_mnist\n" in done.stdout


def test_every_key_of_train_is_explained():
    text = files("gapfc.configs").joinpath("train.yaml").read_text()
    comments = key_comments(text)
    keys = re.findall(r"^  (\w+):", text.partition("trainer:")[2], re.M)
    assert len(keys) > 10
    assert [key for key in keys if f"trainer.{key}" not in comments] == []


def test_comments_of_a_yaml_file():
    text = (
        "# @package _global_\n# What it is.\na: 1   # one\nb: [1, 2]  # two\n"
        "           # and more\nc:  # a node\n  # above\n  d: '#no'\n  e: 'x'  # last\nf: x#y\n"
    )
    assert heading(text) == "What it is."
    assert key_comments(text) == {
        "a": "one",
        "b": "two and more",
        "c": "a node",
        "c.d": "above",
        "c.e": "last",
    }


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "inspect"])
def test_hydras_own_options_answer_and_leave_nothing_behind(gapfc, command):
    done = gapfc(command, "--cfg", "job", "head=spp", "--resolve", "-p", "head")
    assert done.returncode == 0
    assert "name: spp" in done.stdout
    assert "Config search path" in gapfc(command, "--info", "searchpath").stdout
    assert "Hydra" in gapfc(command, "--hydra-help").stdout
    assert entries(gapfc.folder) == []


def test_groups_of_ones_own(gapfc):
    mine = gapfc.folder / "mine" / "head"
    mine.mkdir(parents=True)
    (mine / "linear.yaml").write_text(
        "name: linear\n_target_: gapfc.heads.FC\nhidden: []   # nothing between\n"
    )
    done = gapfc("train", "--config-dir", "mine", "head=linear", "--cfg", "job", "-p", "head")
    assert "name: linear" in done.stdout
    assert "nothing between" in gapfc("train", "--help", "--config-dir=mine", "head=linear").stdout


@pytest.mark.slow
def test_train_writes_one_run_directory_and_nothing_else(gapfc):
    done = gapfc("train", "head=gap", *SHORT)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert entries(gapfc.folder) == ["outputs"]
    (run,) = (gapfc.folder / "outputs/train/digits/convnet/gap").iterdir()
    assert (run / "results.json").is_file()
    assert not list(gapfc.folder.rglob(".hydra")) + list(gapfc.folder.rglob("multirun.yaml"))


@pytest.mark.slow
def test_a_failing_run_does_not_stop_a_sweep(gapfc):
    done = gapfc("train", "-m", "head=gap", "dataset.shots=5000,4", *SHORT)
    assert done.returncode == 1
    assert "[run 2 of 2]: dataset.shots=4" in done.stdout
    assert "gapfc: error: dataset.shots=5000 is more than" in done.stderr
    assert "1 of 2 runs failed:\n  dataset.shots=5000 is more" in done.stderr
    assert entries(gapfc.folder) == ["outputs"]
    assert len(list(gapfc.folder.rglob("checkpoints/best.pt"))) == 1


def test_a_sweep_over_a_folder_that_is_not_there_does_not_begin(gapfc):
    done = gapfc("train", "-m", "head=gap,fc", "dataset=folder", "dataset.train_dir=nowhere")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "gapfc: error: dataset.train_dir=nowhere: there is no such folder"
    )
    assert len(done.stderr.splitlines()) == 1
    assert entries(gapfc.folder) == []


def test_a_sweep_of_transfers_from_nothing_ends_before_its_first_run(gapfc):
    done = gapfc("transfer", "-m", "head=gap,fc")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("gapfc: error: transfer needs a source: source=<run directory")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize("arguments", ["--help", "train --help", "train --info defaults"])
def test_a_closed_pipe_is_no_error(tmp_path, arguments):
    line = f"{sys.executable} -m gapfc {arguments} | head -n 1"
    done = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""


def completions(line):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gapfc", "-sc", "query=bash"],
        env=dict(os.environ, COMP_LINE=line),
        capture_output=True,
        text=True,
    )
    assert not re.search(r"\| +torch$", done.stderr, re.M)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gapfc tra", ["train", "transfer"]),
        ("gapfc train hea", ["head.", "head="]),
        ("gapfc train head=ga", ["head=gap", "head=gapgmp"]),
        ("gapfc train head=gap,sppf,sp", ["head=gap,sppf,spp", "head=gap,sppf,spp_fixed"]),
        ("gapfc train head=spp head.lev", ["head.levels."]),
        ("gapfc train trainer.label", ["trainer.label_smoothing="]),
        ("gapfc train --mul", ["--multirun"]),
        ("gapfc train --cfg j", ["job"]),
        ("gapfc compare --basel", ["--baseline"]),
        ("gapfc inspect --js", ["--json"]),
        ("python -m gapfc insp", ["inspect"]),
        ("gapfc nothing ", []),
        ("gapfc train exp", ["experiment="]),
        ("gapfc train +exp", ["+experiment="]),
        ("gapfc train experiment=fash", ["experiment=fashion_mnist"]),
        ("gapfc train experiment=transfer", []),
        ("gapfc transfer protocol=f", ["protocol=finetune"]),
        ("gapfc train trainer.device=c", ["trainer.device=cpu", "trainer.device=cuda"]),
        ("gapfc claims --mul", []),
        ("gapfc claims head=", []),
        ("gapfc claims seed=", []),
        ("gapfc claims only=transl", ["only=translation"]),
    ],
)
def test_completion_words(line, expected):
    assert completions(line) == expected


DRIVE = {
    "bash": """
        eval "$(gapfc -sc install=bash)"
        complete -p gapfc | grep -q _gapfc_complete || exit 1
        ask() { COMP_LINE=$1 COMP_POINT=${#1}; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
                _gapfc_complete; echo "${COMPREPLY[@]}"; }
        ask "gapfc trai" gapfc trai
        ask "gapfc train head=ga" gapfc train head = ga
        ask "gapfc train trainer.device=c" gapfc train trainer.device = c
        ask "gapfc train --mul" gapfc train --mul""",
    "zsh": """
        compdef() { :; }; eval "$(gapfc -sc install=zsh)"
        compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -r -- "$@"; }
        ask() { words=("$@"); CURRENT=$#; _gapfc_complete; }
        ask gapfc trai; ask gapfc train head=ga
        ask gapfc train trainer.device=c; ask gapfc train --mul""",
    "fish": """
        gapfc -sc install=fish | source
        for line in "gapfc trai" "gapfc train head=ga" "gapfc train trainer.device=c" \\
            "gapfc train --mul"
            complete -C $line
        end""",
}


@pytest.mark.parametrize("shell", DRIVE)
def test_completion_in_a_shell(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    command = tmp_path / "gapfc"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m gapfc "$@"\n')
    command.chmod(0o755)
    done = subprocess.run(
        [shell, *(["-f"] if shell == "zsh" else []), "-c", DRIVE[shell]],
        env=dict(os.environ, PATH=f"{tmp_path}:{os.environ['PATH']}", HOME=str(tmp_path)),
        capture_output=True,
        text=True,
    )
    # Bash keeps what stands before the =.
    head, device = ("", "") if shell == "bash" else ("head=", "trainer.device=")
    words = ["train", f"{head}gap", f"{head}gapgmp", f"{device}cpu", f"{device}cuda", "--multirun"]
    assert done.stdout.split() == words
    assert done.returncode == 0


def test_freed_memory_is_kept_on_glibc():
    from gapfc.system.allocator import keep_freed_memory

    glibc = sys.platform.startswith("linux") and "CS_GNU_LIBC_VERSION" in os.confstr_names
    assert keep_freed_memory() is glibc


@pytest.mark.slow
def test_a_head_in_the_folder_one_works_in_is_found(gapfc):
    """As the README has it, without PYTHONPATH."""
    (gapfc.folder / "settings" / "head").mkdir(parents=True)
    (gapfc.folder / "settings" / "head" / "middle.yaml").write_text(
        "name: middle\n_target_: middle.Middle\nscale: 1.0     # factor on the features\n"
    )
    (gapfc.folder / "middle.py").write_text(
        "from torch import nn\n\n\n"
        "class Middle(nn.Module):\n"
        "    accepts_any_size = True\n\n"
        "    def __init__(self, feature_shape, num_classes, scale=1.0):\n"
        "        super().__init__()\n"
        "        self.scale, self.linear = scale, nn.Linear(feature_shape[0], num_classes)\n\n"
        "    def forward(self, features):\n"
        "        return self.linear(self.scale * features[:, :, 0, 0])\n"
    )
    # The installed script: python -m would put the folder on the path by itself.
    script = Path(sys.executable).with_name("gapfc")
    settings = ["--config-dir", "settings", "head=middle,gap", "repeats=1", "--json"]
    done = subprocess.run(
        [script, "inspect", *settings],
        cwd=gapfc.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [row["parameters"]["head"] for row in json.loads(done.stdout)] == [5130, 5130]
