"""Configs of runs of before, without the settings that came since, are still taken."""

from omegaconf import OmegaConf

from gapfc.data.augment import Augmentation
from gapfc.data.settings import LoaderSettings
from gapfc.records.identity import group_hash
from gapfc.settings.compose import Composer
from gapfc.settings.kinds import check_settings
from gapfc.settings.nodes import plain

SINCE = {
    "augment": ("policy", "policy_operations", "policy_magnitude"),
    "dataset": ("sampler",),
    "trainer": ("class_weights",),
}


def test_a_config_without_policy_sampler_and_weights_is_that_of_the_same_run():
    now = Composer([]).compose("train", [])
    before = OmegaConf.create(plain(now))
    for node, keys in SINCE.items():
        for key in keys:
            del before[node][key]
    check_settings(before)
    assert group_hash(plain(before)) == group_hash(plain(now))
    assert LoaderSettings.of(before).sampler == "shuffle"
    operations = [Augmentation(plain(each)["augment"], (0.5,) * 3).operations
                  for each in (before, now)]  # fmt: skip
    assert operations[0] == operations[1]
