"""Which files are images to classify, and what their folders say they show."""

import pytest
from PIL import Image

from gapfc.errors import UserError
from gapfc.trained.images import find_images


@pytest.fixture
def folder(tmp_path):
    for name in ("test/cat/old/1.png", "test/dog/1.JPG", "test/fish/cat/1.png", "test/2.png",
                 "test/cat/1.png.cam.png", "test/dog/notes.txt", "test/.x.png"):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2)).save(path, "png")
    return tmp_path / "test"


def test_the_first_folder_named_after_a_class_is_the_label(folder):
    found = find_images([str(folder)], ("dog", "cat"))
    labels = {"/".join(file.parts): file.label for file in found}
    assert labels == {"2.png": None, "cat/old/1.png": 1, "dog/1.JPG": 0, "fish/cat/1.png": 1}
    assert [file.path for file in found] == sorted(file.path for file in found)


def test_an_image_is_taken_once_and_a_named_file_whatever_it_is_called(folder):
    given = [str(folder / "dog"), str(folder / "dog" / "1.JPG"), str(folder / "dog" / "notes.txt")]
    found = find_images(given, ("dog", "cat"))
    assert [file.parts for file in found] == [("1.JPG",), ("notes.txt",)]
    assert [file.label for file in found] == [None, None]


def test_links_are_followed_once(folder, tmp_path):
    (tmp_path / "other" / "sub").mkdir(parents=True)
    Image.new("L", (2, 2)).save(tmp_path / "other" / "sub" / "9.png")
    (folder / "cat" / "out").symlink_to(tmp_path / "other")
    (folder / "cat" / "again").symlink_to(tmp_path / "other")
    (folder / "cat" / "up").symlink_to("..")
    names = ["/".join(file.parts) for file in find_images([str(folder)], ("dog", "cat"))]
    assert sum(name.endswith("9.png") for name in names) == 1
    assert len(names) == 5


def test_what_is_not_there(folder):
    """Beside what is there it is a file, which cannot be read; alone it is a mistake."""
    given = [str(folder / "bird.png"), str(folder / "dog"), str(folder / "bird")]
    found = find_images(given, ("dog", "cat"))
    assert [file.parts for file in found] == [("bird.png",), ("1.JPG",), ("bird",)]
    with pytest.raises(UserError, match="bird: there is no such file or folder"):
        find_images([str(folder / "bird")], ("a", "b"))
    with pytest.raises(UserError, match=r"^1, 2, 3 and 2 more: there is no such file or folder"):
        find_images(["1", "2", "3", "4", "5"], ("a", "b"))
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match="has no images"):
        find_images([str(folder / "empty")], ("a", "b"))


def test_a_name_that_two_classes_have_is_no_label(folder):
    found = find_images([str(folder)], ("cat", "dog", "cat"))
    labels = {"/".join(file.parts): file.label for file in found}
    assert labels == {"2.png": None, "cat/old/1.png": None, "dog/1.JPG": 1, "fish/cat/1.png": None}
