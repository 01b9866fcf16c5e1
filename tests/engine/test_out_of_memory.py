"""Memory that does not suffice, on the CPU."""

import pytest
import torch
from omegaconf import OmegaConf

from gapfc.engine.out_of_memory import is_out_of_memory
from gapfc.errors import UserError
from gapfc.experiment.begin import built


def test_running_out_of_memory_while_building_names_what_to_try():
    config = OmegaConf.create({"trainer": {"batch_size": 7, "device": "cpu"}})
    with pytest.raises(
        UserError, match=r"Out of memory on cpu at trainer\.batch_size=7\. Try half"
    ):
        built(lambda config: torch.empty(10**16), config)  # refused by the allocator at once


def test_another_error_is_not_taken_for_it():
    with pytest.raises(RuntimeError, match="shape") as caught:
        built(
            lambda config: torch.empty(2).view(3), OmegaConf.create({"trainer": {"device": "cpu"}})
        )
    assert not is_out_of_memory(caught.value)


def test_it_is_recognised_through_what_was_raised_from_it():
    with pytest.raises(UserError, match="Out of memory on cpu"):
        built(_wrapped, OmegaConf.create({"trainer": {"batch_size": 7, "device": "cpu"}}))


def _wrapped(config):
    try:
        return torch.empty(10**16)
    except RuntimeError as error:
        raise ValueError("the call failed") from error
