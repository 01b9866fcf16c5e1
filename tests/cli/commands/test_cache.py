"""`gapfc cache`: what is kept, in words a person reads, and how it goes."""

import pytest

from gapfc.cli.commands.cache import main
from gapfc.errors import UserError
from gapfc.features.store import Layout, Store


@pytest.fixture
def root(tmp_path):
    store = Store(tmp_path, 1)

    def write(writer):
        writer.write(memoryview(bytes(2**20)))
        return Layout((2, 512, 16, 16), "float32", True, (0, 1))

    for split, view in (("train", None), ("train", 1), ("val", None)):
        of = {"dataset": "pho\x1b[31mtos", "split": split, "view": view,
              "backbone": "squeezenet1_1", "size": [224, 160]}  # fmt: skip
        store.keep(of, write)
    return tmp_path


def test_a_list_says_of_what_how_much_and_when(root, capsys):
    assert main([f"cache_root={root}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "name", "data", "set", "images", "of", "backbone", "at", "format", "size", "last", "used"
    ]  # fmt: skip
    assert sum("train, view 2" in line for line in lines) == 1
    assert all("1.0 MiB" in line and "224×160" in line for line in lines[1:4])
    assert lines[4].startswith("3.0 MiB in ")
    assert lines[4].endswith(f"; gapfc cache --clear cache_root={root} removes it")
    assert "\x1b" not in "".join(lines)


def test_one_entry_or_all_are_removed(root, capsys):
    store = Store(root, 1)
    first = store.entries()[0].path.name
    assert main(["--clear", first[:8], f"cache_root={root}"]) == 0
    assert first not in {entry.path.name for entry in store.entries()}
    assert len(store.entries()) == 2
    assert main([f"cache_root={root}", "--clear"]) == 0
    assert "2 entries removed, 2.0 MiB" in capsys.readouterr().out
    assert main([f"cache_root={root}"]) == 0
    assert "is empty" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--clear", "zz"], "no entry is called zz"),
        (["--clear", ""], "no entry is called"),
        (["abc"], "only with --clear"),
        (["--list"], "no option --list"),
    ],
)
def test_a_wrong_name_is_told_and_removes_nothing(root, words, said):
    with pytest.raises(UserError, match=said):
        main([*words, f"cache_root={root}"])
    assert len(Store(root, 1).entries()) == 3
