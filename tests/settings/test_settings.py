"""Every augmentation, optimiser and schedule that can be chosen is built and takes effect."""

import pytest
import torch
from hydra.errors import InstantiationException

from gapfc.errors import UserError
from gapfc.experiment.experiment import Experiment
from gapfc.settings.arguments import check_arguments
from gapfc.settings.compose import Composer
from gapfc.settings.explain import explain_in_run

COMPOSER = Composer([])
GROUPS = COMPOSER.groups()
TINY = [
    "backbone.widths=[8,8,8,8]",
    "backbone.pool_after=[1]",
    "dataset.image_size=16",
    "dataset.train_limit=64",
    "trainer.batch_size=32",
    "trainer.device=cpu",
    "trainer.precision=fp32",
    "trainer.deterministic=false",
    "trainer.epochs=8",
]
# What a group's choice still needs, and what it should then be.
NEEDED = {"custom": ["optimizer._target_=torch.optim.RMSprop", "+optimizer.momentum=0.5"]}
OPTIMIZERS = {"sgd": "SGD", "adamw": "AdamW", "custom": "RMSprop"}
SCHEDULES = {
    "constant": "Constant",
    "cosine": "Cosine",
    "one_cycle": "OneCycle",
    "plateau": "Plateau",
    "step": "Step",
}


def experiment(*overrides):
    return Experiment(COMPOSER.compose("train", [*TINY, *overrides]))


def images(chosen, epoch=0):
    return torch.cat([images for images, _ in chosen.batches.epoch(epoch)])


@pytest.fixture(scope="module")
def plain():
    return experiment("augment=none")


def test_without_augmentation_an_epoch_is_the_images_in_another_order(plain):
    def sums(epoch):
        return images(plain, epoch).double().sum((1, 2, 3)).sort().values

    torch.testing.assert_close(sums(0), sums(1))
    assert not torch.equal(images(plain, 0), images(plain, 1))


@pytest.mark.parametrize("name", sorted(set(GROUPS["augment"]) - {"none"}))
def test_every_augmentation_changes_the_images(name, plain):
    chosen = experiment(f"augment={name}")
    assert chosen.config.augment.name == name
    assert not torch.equal(images(chosen), images(plain))
    assert images(chosen).shape == images(plain).shape
    assert torch.equal(images(chosen), images(chosen))
    assert not torch.equal(images(chosen, 0), images(chosen, 1))


@pytest.mark.parametrize(
    "option",
    [
        "resized_crop=0.3",
        "translate=0.2",
        "crop_padding=2",
        "flip=true",
        "brightness=0.4",
        "contrast=0.4",
        "cutout=6",
    ],
)
def test_every_option_of_augmentation_takes_effect(option, plain):
    chosen = experiment("augment=none", f"augment.{option}")
    changed = (images(chosen) != images(plain)).flatten(1).any(1)
    assert changed.float().mean() > 0.25


@pytest.mark.parametrize("option", ["mixup", "cutmix"])
def test_every_option_of_mixing_takes_effect(option, plain):
    chosen = experiment("augment=none", f"augment.{option}=1.0")
    assert chosen.settings.mixing
    (batch, labels), *_ = chosen.batches.epoch(0)
    mixed, partners, weight = chosen.settings.mixing(batch, labels, (0, 0, 0))
    assert not torch.equal(mixed, batch)
    assert torch.equal(partners, labels.flip(0))
    assert 0 <= weight < 1
    assert not plain.settings.mixing


def a_step(chosen):
    """Largest change of any parameter by one step."""
    model, optimizer = chosen.model.train(), chosen.training.optimizer
    before = [p.detach().clone() for p in model.parameters()]
    batch, labels = next(chosen.batches.epoch(0))
    torch.nn.functional.cross_entropy(model(batch), labels).backward()
    optimizer.step()
    moved = zip(model.parameters(), before, strict=True)
    return max((p.detach() - old).abs().max().item() for p, old in moved)


@pytest.mark.parametrize("name", GROUPS["optimizer"])
def test_every_optimizer_is_the_one_it_names_and_trains(name):
    options = [f"optimizer={name}", *NEEDED.get(name, [])]
    chosen = experiment(*options)
    optimizer = chosen.training.optimizer
    assert type(optimizer).__name__ == OPTIMIZERS[name]
    node = chosen.config.optimizer
    for group in optimizer.param_groups:
        assert group["base_lr"] == node.lr
        decays = all(p.ndim > 1 for p in group["params"])
        for key, value in node.items():
            if key in ("name", "_target_"):
                continue
            expected = 0.0 if key == "weight_decay" and not decays else value
            found = list(group[key]) if isinstance(group[key], tuple) else group[key]
            assert found == expected, key
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    assert len(trained) == len(list(chosen.model.parameters()))
    assert a_step(chosen) > 0


def test_the_learning_rate_and_the_heads_multiplier_take_effect():
    chosen = experiment("optimizer.lr=0.01", "head.lr_multiplier=5")
    rates = {id(p): g["lr"] for g in chosen.training.optimizer.param_groups for p in g["params"]}
    assert {rates[id(p)] for p in chosen.model.backbone.parameters()} == {0.01}
    assert {rates[id(p)] for p in chosen.model.head.parameters()} == {0.05}
    assert a_step(experiment("optimizer=sgd", "optimizer.lr=0")) == 0


@pytest.mark.parametrize("name", GROUPS["schedule"])
def test_every_schedule_is_the_one_it_names(name):
    chosen = experiment(f"schedule={name}")
    schedule = chosen.training.schedule
    assert type(schedule).__name__ == SCHEDULES[name]
    for key, value in chosen.config.schedule.items():
        if key not in ("name", "_target_"):
            assert getattr(schedule, key) == value, key
    factors = [schedule.factor(step / 10, 8) for step in range(80)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert max(factors) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("options", "epoch", "factor"),
    [
        (["schedule=constant", "schedule.warmup_epochs=4"], 1, 0.25),
        (["schedule=constant", "schedule.warmup_epochs=4"], 6, 1),
        (["schedule=cosine", "schedule.warmup_epochs=2"], 1, 0.5),
        (["schedule=cosine", "schedule.warmup_epochs=0"], 4, 0.5),
        (["schedule=cosine", "schedule.warmup_epochs=0", "schedule.final=0.5"], 4, 0.75),
        (["schedule=step", "schedule.milestones=[0.25]", "schedule.gamma=0.5"], 1.9, 1),
        (["schedule=step", "schedule.milestones=[0.25]", "schedule.gamma=0.5"], 2, 0.5),
        (["schedule=one_cycle", "schedule.rise=0.5", "schedule.start=0.2"], 0, 0.2),
        (["schedule=one_cycle", "schedule.rise=0.5"], 4, 1),
        (["schedule=one_cycle", "schedule.final=0.01"], 8, 0.01),
    ],
)
def test_the_options_of_schedules_take_effect(options, epoch, factor):
    assert experiment(*options).training.schedule.factor(epoch, 8) == pytest.approx(factor)


def test_the_plateaus_options_take_effect():
    schedule = experiment(
        "schedule=plateau", "schedule.patience=1", "schedule.gamma=0.5"
    ).training.schedule
    factors = []
    for accuracy in (0.3, 0.3, 0.3, 0.4, 0.4):
        schedule.observe(accuracy)
        factors.append(schedule.factor(5, 8))
    assert factors == [1, 1, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    "sweep",
    [
        "optimizer.lr=fast,0.1",
        "trainer.epochs=1,many",
        "trainer.epochs=1,2.5",
        "trainer.compile=true,maybe",
        "backbone.widths=[8,8],big",
        "head.dropout=0.5,'lots'",
        "seed=0,one",
    ],
)
def test_a_word_among_the_values_of_a_sweep_is_refused_before_its_first_run(sweep):
    with pytest.raises(UserError, match=sweep.partition("=")[0]):
        check_arguments("train", "train", ["-m", sweep])


@pytest.mark.parametrize(
    "sweep",
    [
        "head=gap,fc",
        "optimizer.lr=0.1,1e-3",
        "seed=range(3)",
        "backbone.widths=[8,8],[16,16]",
        "dataset.image_size=16,[16,24],native",
        "dataset.shots=1,5,null",
        "head.hidden=[],[32]",
        "trainer.compile=true,false",
    ],
)
def test_values_that_can_be_are_swept_over(sweep):
    check_arguments("train", "train", ["-m", sweep])


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        # As a YAML file may hold them, which nobody typed.
        ("dataset.val_fraction=abc", "dataset.val_fraction"),
        ("dataset.val_fraction=null", "dataset.val_fraction"),
        ("dataset.test_fraction=abc", "dataset.test_fraction"),
        ("dataset.split_seed=abc", "dataset.split_seed"),
        ("dataset.split_seed=-1", "dataset.split_seed"),
        ("dataset.classes=[3]", "two classes"),
        ("dataset=synthetic_shapes dataset.seed=abc", "dataset.seed"),
        ("dataset=emnist dataset.split=abc", "dataset.split takes balanced, byclass"),
        ("dataset=imagenette dataset.size=320", "dataset.size takes full, 320px or 160px; got 320"),
        ("dataset=dtd dataset.partition=abc", "dataset.partition takes 1, 2"),
        ("dataset=folder dataset.train_dir=2024", "dataset.train_dir=2024"),
        ("trainer.targets=0.5", "trainer.targets"),
        ("trainer.targets=null", "trainer.targets"),
        ("trainer.deterministic=abc", "trainer.deterministic takes true or false"),
        ("trainer.compile=abc", "trainer.compile takes true or false"),
        ("augment.flip=abc", "augment.flip"),
        ("head.dropout=abc", "head.dropout takes a probability"),
        ("head=sppf head.kernel_size=5.0", "head.kernel_size takes an odd number"),
        ("head=sppf head.hidden_channels=2.5", "head.hidden_channels takes a whole number"),
        ("head=spp head.levels=3", "head.levels takes a list of positive bin counts"),
        ("+head.colour=red", r"can't be built: .*\n.*colour=red"),
        ("data_root=null", "data_root"),
        # Sizes that this network and head cannot take: said before training, not after.
        ("dataset.eval_sizes=[16,1]", "dataset.eval_sizes has 1x1: Images of 1 x 1"),
        (
            "head=spp_fixed dataset.train_sizes=[16,4]",
            r"dataset.train_sizes has 4x4: head.windows=\[1, 2, 3\] needs",
        ),
    ],
)
def test_what_cannot_be_is_named_also_where_nobody_typed_it(settings, named):
    with pytest.raises(UserError, match=named):
        experiment(*settings.split())


@pytest.mark.parametrize(
    ("command", "text", "named"),
    [
        ("train", "trainer: {epcohs: 3}", "trainer.epcohs"),
        ("train", "augment: {flipp: true}", "augment.flipp"),
        ("train", "protocol: finetune", "protocol"),
        ("train", "trainer: {epochs: 3}\nhead: {hidden: [8]}", None),
        ("inspect", "trainer: {epochs: 3}", None),
        ("transfer", "protocol: finetune\nsource: {options: {seed: 1}}", None),
    ],
)
def test_a_slip_in_an_experiments_file_is_not_passed_over(command, text, named, tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{text}\n")
    arguments = [f"--config-dir={tmp_path}", "experiment=mine"]
    if named is None:
        check_arguments(command, command, arguments)
        return
    with pytest.raises(UserError, match=rf"^experiment=mine sets {named}, .* gapfc {command}"):
        check_arguments(command, command, arguments)


@pytest.mark.parametrize("name", GROUPS["experiment"])
def test_every_experiment_fits_its_command_and_no_other(name):
    command = "transfer" if name.startswith("transfer") else "train"
    check_arguments(command, command, [f"experiment={name}"])
    for other in ("train", "transfer", "inspect"):
        fits = command == ("transfer" if other == "transfer" else "train")
        assert (name in COMPOSER.offered(other)["experiment"]) == fits
    if command == "transfer":
        with pytest.raises(UserError, match="which gapfc train does not read"):
            check_arguments("train", "train", [f"+experiment={name}"])


@pytest.mark.parametrize(
    ("typed", "composed"),
    [
        ("experiment=x", "+experiment=x"),
        ("+sweep=x", "+sweep=x"),
        ("mine=x", "+mine=x"),
        *((word, word) for word in ("head=x", "seed=0", "preset=x", "trainer.epochs=1", "~head")),
    ],
)
def test_a_group_without_a_default_needs_no_plus(typed, composed, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x.yaml").write_text("# @package _global_\nseed: 1\n")
    assert Composer([f"--config-dir={tmp_path}", typed]).overrides == [composed]


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("claims", "experiment=fashion_mnist"),
        ("claims", "+sweep=heads"),
        ("train", "preset=quick"),
        ("inspect", "+preset=quick"),
    ],
)
def test_a_group_of_another_command_is_refused(command, word):
    group = word.lstrip("+").partition("=")[0]
    with pytest.raises(UserError, match=f"^gapfc {command} has no group {group} "):
        check_arguments(command, command, [word])


def test_a_recipe_of_training_is_refused_in_a_transfer_and_one_of_ones_own_is_not(tmp_path):
    with pytest.raises(UserError, match=r"^recipe=frozen is not for .*=linear_probe"):
        check_arguments("transfer", "transfer", ["recipe=frozen", "source=pretrained"])
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "mine.yaml").write_text("# @package _global_\nseed: 1\n")
    own = [f"--config-dir={tmp_path}", "recipe=mine", "source=pretrained"]
    check_arguments("transfer", "transfer", own)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("head=spp head.levels=1,2", r"head.levels=1,2 is several .* 'head.levels=\[1,2\]'"),
        ("trainer.targets=0.5,0.9", r"takes a list of .* 'trainer.targets=\[0.5,0.9\]'"),
        ("-m head=spp head.levels=1,x", "head.levels takes a list .*; got 1$"),
    ],
)
def test_a_list_without_brackets_is_told_from_a_sweep(typed, words):
    with pytest.raises(UserError, match=words):
        check_arguments("train", "train", typed.split())


def test_a_torchvision_of_another_torch_is_told_in_a_line():
    error = RuntimeError("operator torchvision::nms does not exist")
    said = explain_in_run(error)
    assert said.endswith("(pip install --force-reinstall torch torchvision)")
    assert "\n" not in said
    outer = InstantiationException("Error locating target 'gapfc.backbones.x'")
    outer.__cause__ = error
    assert explain_in_run(outer) == said
    assert explain_in_run(RuntimeError("shape mismatch in torchvision::roi_align")) is None


@pytest.mark.parametrize(
    ("settings", "views"),
    [
        (["backbone.trainable=none"], 4),
        (["backbone.trainable=last"], 4),
        (["backbone.trainable=all"], None),
        ([], None),
        (["backbone.trainable=none", "augment.views=null"], None),
        (["backbone.trainable=none", "augment=none"], None),
        (["backbone.trainable=none", "dataset=digits"], None),
    ],
)
def test_photos_have_a_few_views_under_a_frozen_backbone(settings, views):
    config = COMPOSER.compose("train", ["dataset=folder", *settings])
    assert config.augment.views == views
