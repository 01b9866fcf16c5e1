"""The available commands. A command's module is imported only when it is run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command: `module` has `main(argv) -> int`, or `run(config) -> int` if `under_hydra`.

    One without a `config` also has `parser()`, an argparse parser, for completion.
    """

    summary: str
    example: str
    module: str
    # Other commands that a newcomer may want next, each with what it does.
    more: tuple[tuple[str, str], ...] = ()
    config: str | None = None  # primary config, for its settings' help and completion
    under_hydra: bool = False
    options: tuple[str, ...] = ()  # of its own, beside Hydra's
    sweeps: bool = True  # whether -m runs it once for each combination
    # Groups and keys of its config that the command settles itself.
    settles: tuple[str, ...] = ()


COMMANDS = {
    "train": Command(
        summary="train a head on a backbone and measure it; -m sweeps over several",
        example="gapfc train head=gap",
        more=(
            ("gapfc train head=fc dataset=mnist", "another head, other images"),
            ("gapfc train -m head=fc,gap seed=0,1,2", "a sweep: six runs"),
            ("gapfc train sweep=heads", "a sweep from a file: nine heads"),
            ("gapfc train resume=outputs/train/…", "go on with a run that was stopped"),
        ),
        module="gapfc.cli.commands.train",
        config="train",
        under_hydra=True,
    ),
    "transfer": Command(
        summary="take trained features to other images: probe, fine-tune, …",
        example="gapfc transfer source=outputs/train/… dataset=mnist",
        more=(
            ("gapfc transfer source=… dataset=mnist protocol=linear_probe", "in seconds"),
            ("gapfc transfer source.dataset=digits dataset=mnist", "trains it first"),
            ("gapfc transfer experiment=transfer_digits", "bundled images"),
            ("gapfc transfer -m source=… protocol=scratch,finetune", "two runs"),
        ),
        module="gapfc.cli.commands.transfer",
        config="transfer",
        under_hydra=True,
    ),
    "inspect": Command(
        summary="feature map, parameters, compute, time of heads, without training",
        example="gapfc inspect head=fc,gap,nin,spp,sppf",
        more=(
            ("gapfc inspect head=fc backbone=resnet18,vgg16_bn", "other backbones"),
            ("gapfc inspect sweep=heads --json", "nine heads, as JSON"),
        ),
        module="gapfc.cli.commands.inspect",
        config="inspect",
        options=("--json",),
    ),
    "evaluate": Command(
        summary="probe trained models: images moved, resized, corrupted; calibration",
        example="gapfc evaluate outputs --probe shift,size",
        module="gapfc.cli.commands.evaluate",
    ),
    "export": Command(
        summary="a trained model for other programs: ONNX, torch.export, safetensors",
        example="gapfc export outputs/train/… model.onnx",
        module="gapfc.cli.commands.export",
    ),
    "claims": Command(
        summary="what people say of GAP and fc, tested by runs made for it",
        example="gapfc claims preset=quick",
        more=(
            ("gapfc claims only=3", "one claim, by number or name"),
            ("gapfc claims 'only=[3,8]' dataset=cifar10", "two claims, on other images"),
        ),
        module="gapfc.cli.commands.claims",
        config="claims",
        under_hydra=True,
        sweeps=False,
        settles=("head", "seed", "optimizer.lr", "resume", "rerun"),
    ),
    "compare": Command(
        summary="differences between runs, how sure they are, pictures, a report",
        example="gapfc compare outputs --baseline fc --html report.html",
        module="gapfc.cli.commands.compare",
    ),
    "predict": Command(
        summary="what a trained model sees in your images, and where it looks",
        example="gapfc predict outputs/train/… photos --top 3 --cam maps",
        module="gapfc.cli.commands.predict",
    ),
    "cache": Command(
        summary="what frozen backbones made of images: kept on disk, listed, removed",
        example="gapfc cache",
        module="gapfc.cli.commands.cache",
    ),
    "dashboard": Command(
        summary="TensorBoard over the runs, heads side by side",
        example="gapfc dashboard outputs",
        module="gapfc.cli.commands.dashboard",
    ),
}

# Those at which several processes may be at work together.
SHARED = ("train", "transfer", "claims", "inspect")
