"""Maps are of a network with all that decides what it computes, and of the files it was shown."""

import linecache
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn.functional import leaky_relu

from gapfc.data.files import Files
from gapfc.features.identity import images_identity, network_identity


class Own(nn.Module):
    """A backbone whose settings its repr does not show."""

    def __init__(self, power=1.0, act=torch.relu, levels=(1, 2), shift=0.0):
        super().__init__()
        self._power = power
        self.act = act
        self.levels = levels
        self.shift = torch.tensor(shift)
        self.register_buffer("window", torch.ones(2) + shift, persistent=False)


def identity(**settings):
    return network_identity([Own(**settings)])


def test_settings_that_the_repr_does_not_show_count():
    given = [{}, {"power": 2.0}, {"act": torch.tanh}, {"levels": (1, 3)}, {"shift": 0.5}]
    given += [{"act": partial(leaky_relu, negative_slope=slope)} for slope in (0.1, 0.2)]
    given += [{"levels": np.array([1, last])} for last in (2, 3)]
    given += [{"levels": {1, last}} for last in (2, 3)]
    assert repr(Own()) == repr(Own(power=2.0))
    assert len({identity(**settings) for settings in given}) == len(given)
    assert identity() == identity()


def test_what_a_module_merely_holds_does_not_count():
    one, other = Own(), Own()
    other.note = object()  # whose repr is another in every process
    other.eval()
    assert network_identity([one]) == network_identity([other])


def test_the_whole_file_of_a_class_counts_and_that_of_its_base(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    base, own = tmp_path / "gapfc_test_base.py", tmp_path / "gapfc_test_own.py"
    base.write_text("from torch import nn\nclass Base(nn.Module):\n    pass\n")
    own.write_text(
        "from gapfc_test_base import Base\ndef helper(x): return x\nclass Net(Base): pass\n"
    )

    from gapfc_test_own import Net

    found = [network_identity([Net()])]
    for file in (base, own):
        file.write_text(file.read_text() + "# changed, and longer\n")
        linecache.checkcache()
        found.append(network_identity([Net()]))
    assert len(set(found)) == 3


def test_what_is_to_happen_with_unreadable_files_counts(tmp_path):
    file = tmp_path / "photo.png"
    file.write_bytes(b"")

    def files(**options):
        return images_identity(Files([str(file)], torch.zeros(1, dtype=torch.int64), **options))

    found = {files(), files(skip_corrupt=True), files(max_pixels=1000)}
    assert len(found) == 3
    assert files() == files()
