"""What a sweep leaves for TensorBoard when it has ended, and that this never fails it."""

import subprocess
import sys

from serving import write_run

from gapfc.cli.launch import CommandTask


def sweep_of(root):
    for seed in (0, 1):
        folder = write_run(root, "gap", seed)
        (folder / "metrics.csv").write_text("epoch,step,val_accuracy,val_loss\n1,5,0.5,1.0\n")
    write_run(root, "fc", 0, status="failed", error="out of memory")


def test_the_mean_over_seeds_of_what_completed_is_below_output_root(tmp_path, capsys):
    sweep_of(tmp_path)
    CommandTask("train", "unused").after_sweep(str(tmp_path))
    found = sorted(path.relative_to(tmp_path) for path in (tmp_path / "margins").glob("*/*"))
    assert [str(path) for path in found] == ["margins/digits, convnet/gap"]
    assert capsys.readouterr() == ("", "")


def test_what_goes_wrong_is_one_line(tmp_path, capsys):
    sweep_of(tmp_path)
    (tmp_path / "margins").write_text("in the way")
    CommandTask("train", "unused").after_sweep(str(tmp_path))
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("gapfc: TensorBoard will lack the means over seeds: ")


def test_without_runs_nothing_is_made(tmp_path, capsys):
    CommandTask("train", "unused").after_sweep(str(tmp_path / "outputs"))
    assert not (tmp_path / "outputs").exists()
    assert capsys.readouterr() == ("", "")


def test_it_needs_no_torch(tmp_path):
    sweep_of(tmp_path)
    code = (
        "import sys; from gapfc.cli.launch import CommandTask\n"
        "CommandTask('train', 'unused').after_sweep(sys.argv[1])\n"
        "sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)]).returncode == 0
