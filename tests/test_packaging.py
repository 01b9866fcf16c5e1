"""What is installed: every package and every YAML file, from a wheel in a folder of its own."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("setuptools", "77", reason="needs setuptools>=77 to build a wheel")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if tracked.returncode:
        pytest.skip("needs a git checkout")
    for name in filter(lambda name: (ROOT / name).is_file(), tracked.stdout.splitlines()):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    subprocess.run([*command, "-w", str(folder), str(source)], check=True)
    (built,) = folder.glob("gapfc-*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_config(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "gapfc").rglob("*.py")}
    configs = {f"gapfc/{path.relative_to(ROOT)}" for path in (ROOT / "configs").rglob("*.yaml")}
    assert modules - inside == set()
    assert configs - inside == set()
    assert "gapfc/py.typed" in inside
    page = {f"gapfc/compare/output/page.{ending}" for ending in ("html.j2", "css", "js")}
    assert page - inside == set()
    assert {name.split("/")[0].split("-")[0] for name in inside} == {"gapfc"}


@pytest.mark.slow
def test_the_wheel_works_from_any_folder(wheel, tmp_path):
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    # Without the finder of an editable install, which would find the checkout's configs.
    start = (
        "import runpy, sys; "
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f)]; "
    )

    def run(code, *arguments):
        return subprocess.run(
            [sys.executable, "-c", start + code, *arguments],
            cwd=tmp_path,
            env=dict(os.environ, PYTHONPATH=str(installed)),
            capture_output=True,
            text=True,
        )

    for arguments, words in [
        (["--help"], "gapfc train head=gap"),
        (["train", "--cfg", "job", "head=sppf"], "gapfc.heads.SPPF"),
        (["train", "--help"], "head="),
    ]:
        done = run("runpy.run_module('gapfc', run_name='__main__')", *arguments)
        assert done.returncode == 0, done.stderr
        assert words in done.stdout
    where = run("import gapfc.configs; print(gapfc.configs.__file__)").stdout
    assert where.startswith(str(installed))


def test_a_checkout_works_without_being_installed():
    code = (
        "import sys; sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f)];"
        "sys.argv = ['gapfc', 'train', '--cfg', 'job', '-p', 'head', 'head=spp'];"
        "from gapfc.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "name: spp" in done.stdout, done.stderr
