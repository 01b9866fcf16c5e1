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

    for size in ([224, 160], [96, 96]):
        for split, view in (("train", None), ("train", 1), ("val", None)):
            folder = f"/home/me/pho\x1b[31mtos/{split}"
            of = {"dataset": "folder", "folder": folder, "split": split, "view": view,
                  "backbone": "squeezenet1_1", "size": size}  # fmt: skip
            store.keep(of, write)
    return tmp_path


def test_a_list_has_a_line_for_what_one_network_made_of_one_data_set(root, capsys):
    assert main([f"cache_root={root}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "name", "images", "of", "backbone", "at", "maps", "size", "last", "used"
    ]  # fmt: skip
    assert len(lines) == 4
    assert {line.split("  ")[1].strip() for line in lines[1:3]} == {r"pho\x1b[31mtos"}
    assert all("fp32" in line and " 6 " in line and "3.0 MiB" in line for line in lines[1:3])
    assert sum("224×160" in line for line in lines) == 1
    assert lines[3].startswith("6.0 MiB in ")
    assert lines[3].endswith(f"; gapfc cache --clear cache_root={root} removes it")
    assert "\x1b" not in "".join(lines)
    assert max(map(len, lines[:3])) <= 80


def test_lines_that_look_the_same_say_what_tells_them_apart(tmp_path, capsys):
    store = Store(tmp_path, 1)

    def keep(**changed):
        of = {"dataset": "digits", "split": "train", "view": None, "backbone": "squeezenet1_1",
              "stages": "all", "size": [64, 64], "network": "0" * 32, "augment": None,
              "arithmetic": {"threads": 2, "gapfc": "0.1.0"}}  # fmt: skip
        layout = Layout((1, 1, 1, 1), "float32", True, (0,))
        store.keep(of | changed, lambda writer: writer.write(memoryview(bytes(4))) or layout)

    def told():
        assert main([f"cache_root={tmp_path}"]) == 0
        lines = capsys.readouterr().out.splitlines()[1:-1]
        assert max(map(len, lines)) <= 80
        return sorted(line.strip() for line in lines if line.startswith(" "))

    keep()
    keep(size=[32, 32])
    assert told() == []
    keep(stages="3 of 4", network="1" * 32)
    for view in range(2):
        keep(view=view, augment={"flip": True})
    assert told() == [
        "stages 3 of 4, views none, weights 111111",
        "stages all, views 2, weights 000000",
        "stages all, views none, weights 000000",
    ]
    keep(arithmetic={"threads": 1, "gapfc": "\x1b[31m" + "9" * 99})
    assert len(told()) == 4


def test_one_line_or_all_are_removed(root, capsys):
    assert main([f"cache_root={root}"]) == 0
    first = capsys.readouterr().out.splitlines()[1].split()[0]
    assert main(["--clear", first[:5], f"cache_root={root}"]) == 0
    assert "3.0 MiB removed" in capsys.readouterr().out
    assert len(Store(root, 1).entries()) == 3
    assert main([f"cache_root={root}"]) == 0
    assert first not in capsys.readouterr().out
    assert main([f"cache_root={root}", "--clear"]) == 0
    assert "3.0 MiB removed" in capsys.readouterr().out
    assert main([f"cache_root={root}"]) == 0
    assert "is empty" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--clear", "zz"], "nothing is called zz"),
        (["--clear", ""], "nothing is called"),
        (["abc"], "only with --clear"),
        (["--list"], "no option --list"),
    ],
)
def test_a_wrong_name_is_told_and_removes_nothing(root, words, said):
    with pytest.raises(UserError, match=said):
        main([*words, f"cache_root={root}"])
    assert len(Store(root, 1).entries()) == 6
