"""Policies against torchvision's own operations and tables, image by image."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torchvision.transforms import RandAugment, TrivialAugmentWide
from torchvision.transforms.autoaugment import _apply_op
from torchvision.transforms.functional import InterpolationMode

from gapfc.data.augment import Augmentation
from gapfc.data.policies.geometry import GEOMETRIC, maps
from gapfc.data.policies.policy import Policy, randaugment, trivialaugment
from gapfc.data.policies.space import OPERATIONS, RANDAUGMENT, STEPS, WIDE
from gapfc.data.random_crop import RandomResizedCrop
from gapfc.errors import UserError

THEIR_NAMES = (
    "Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color",
    "Contrast", "Sharpness", "Posterize", "Solarize", "AutoContrast", "Equalize",
)  # fmt: skip
SIZE = (21, 26)
TABLES = {
    RANDAUGMENT: RandAugment()._augmentation_space(STEPS + 1, SIZE),
    WIDE: TrivialAugmentWide()._augmentation_space(STEPS + 1),
}


def pictures(count, channels=3, size=SIZE, seed=0):
    """Noise on a slope, dark and bright, so that every operation has something to do."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(0, 120, (count, channels, *size), generator=generator)
    slope = torch.linspace(20, 110, size[1]).int() + torch.randint(
        0, 25, (count, channels, 1, 1), generator=generator
    )
    return (noise + slope).byte()


def theirs(image, name, space, level, sign):
    levels, signed = TABLES[space][name]
    amount = float(levels[level]) if levels.ndim else 0.0
    return _apply_op(image, name, amount * (sign if signed else 1), InterpolationMode.NEAREST, None)


def undecided(choice, strength, space):
    """Pixels of the result whose source is halfway between two: either is the nearest."""
    if OPERATIONS[choice] not in GEOMETRIC:
        return torch.zeros(SIZE, dtype=torch.bool)
    (found,) = maps(torch.tensor([choice]), torch.tensor([strength]).double(), space, *SIZE)
    y, x = torch.meshgrid(*(torch.arange(n).double() for n in SIZE), indexing="ij")
    places = torch.einsum("ij,jhw->ihw", found, torch.stack([x, y, torch.ones_like(x)]))
    return ((places - places.floor() - 0.5).abs() < 1e-3).any(0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("space", [RANDAUGMENT, WIDE], ids=["randaugment", "wide"])
def test_every_operation_is_torchvisions_at_every_strength(space, channels):
    assert set(TABLES[space]) == set(THEIR_NAMES)
    asked = [
        (choice, level, sign)
        for choice in range(len(OPERATIONS))
        for level in (0, 3, 9, 17, 24, 30)
        for sign in (-1.0, 1.0)
    ]
    images = pictures(len(asked), channels)
    choice, level, sign = (torch.tensor(column) for column in zip(*asked, strict=True))
    strength = level.double() / STEPS * sign.double()
    got = Policy(space, 1, None).apply(images, choice, strength)
    differ = exact = 0
    for (c, m, s), image, result in zip(asked, images, got, strict=True):
        expected = theirs(image, THEIR_NAMES[c], space, m, s)
        apart = (result.int() - expected.int()).abs()
        apart[:, undecided(c, m / STEPS * s, space)] = 0
        assert apart.max() <= 1, (OPERATIONS[c], m, s)
        if OPERATIONS[c] in (*GEOMETRIC, "identity", "posterize", "solarize", "equalize"):
            assert apart.max() == 0, (OPERATIONS[c], m, s)
            exact += 1
        differ += not torch.equal(result, image)
    assert exact == 9 * 12
    assert differ > 0.7 * len(asked)


@pytest.mark.parametrize(
    ("policy", "kinds"), [(randaugment(2, 9), 14**2), (trivialaugment(), 1 + 10 * 60)]
)
def test_draws_are_uniform_over_operations_levels_and_signs(policy, kinds, monkeypatch):
    asked = []
    monkeypatch.setattr(
        Policy, "apply", lambda _, images, choice, strength: asked.append((choice, strength))
    )
    count = 20_000
    random = torch.rand(count, policy.numbers, generator=torch.Generator().manual_seed(0))
    policy(torch.zeros(count, 1, 1, 1, dtype=torch.uint8), random)
    assert len(asked) == policy.times
    for choice, strength in asked:
        shares = torch.bincount(choice, minlength=14) / count
        assert (shares - 1 / 14).abs().max() < 5 * (1 / 14 / count) ** 0.5
        assert abs(float((strength > 0).double().mean()) - 0.5) < 0.03
        levels = (strength.abs() * STEPS).round().unique().tolist()
        assert levels == ([9] if policy.level else list(range(31)))
    if policy.times == 2:
        pairs = asked[0][0] * 14 + asked[1][0]
        assert len(pairs.unique()) == kinds


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.integers(1, 33), st.integers(1, 33), st.integers(1, 40), st.sampled_from([1, 3]),
    st.integers(0, 2**31),
)  # fmt: skip
def test_batches_do_not_matter_at_any_size(height, width, cut, channels, seed):
    images = pictures(40, channels, (height, width), seed)
    for policy in (randaugment(3, 30), trivialaugment()):
        random = torch.rand(40, policy.numbers, generator=torch.Generator().manual_seed(seed))
        before = images.clone()
        whole = policy(images, random)
        parts = [policy(images[a : a + cut], random[a : a + cut]) for a in range(0, 40, cut)]
        assert torch.equal(whole, torch.cat(parts))
        assert torch.equal(images, before)  # resident images must not change
        assert whole.shape == images.shape
        assert whole.dtype == torch.uint8


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("channels", [1, 3])
def test_a_gpu_gives_the_same_bits(channels):
    images = pictures(600, channels, (64, 48))
    for policy in (randaugment(2, 13), trivialaugment()):
        random = torch.rand(600, policy.numbers, generator=torch.Generator().manual_seed(3))
        torch.use_deterministic_algorithms(True)
        try:
            there = policy(images.cuda(), random.cuda()).cpu()
        finally:
            torch.use_deterministic_algorithms(False)
        assert torch.equal(there, policy(images, random))


@pytest.mark.parametrize("name", ["randaugment", "trivialaugment"])
def test_ready_configs_crop_and_mirror_first(config, name):
    operations = Augmentation(config(f"augment={name}", "augment.cutout=4").augment, (0.5,) * 3)
    kinds = [type(operation).__name__ for operation in operations.operations]
    assert kinds == ["RandomResizedCrop", "Flip", "Policy", "Cutout"]
    policy = operations.operations[2]
    assert policy == (randaugment(2, 9) if name == "randaugment" else trivialaugment())
    assert operations.draw(5, torch.Generator()).shape == (5, RandomResizedCrop(1).numbers + 1 + (
        4 if name == "randaugment" else 3) + 2)  # fmt: skip


@pytest.mark.parametrize("policy", ["none", "trivialaugment"])
@pytest.mark.parametrize("option", ["policy_operations=3", "policy_magnitude=20"])
def test_options_of_randaugment_are_refused_without_it(config, policy, option):
    augment = config(f"augment.policy={policy}", f"augment.{option}").augment
    with pytest.raises(UserError, match=f"are of augment.policy=randaugment, and it is {policy}"):
        Augmentation(augment, (0.5,) * 3)
