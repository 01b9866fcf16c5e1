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
    config: str | None = None  # primary config, for its settings' help and completion
    under_hydra: bool = False
    options: tuple[str, ...] = ()  # of its own, beside Hydra's
    sweeps: bool = True  # whether -m runs it once for each combination


COMMANDS = {
    "train": Command(
        summary="train one head on one backbone and measure it; -m sweeps over several",
        example="gapfc train head=gap",
        module="gapfc.cli.commands.train",
        config="train",
        under_hydra=True,
    ),
    "transfer": Command(
        summary="take a source's features to a target (probe, fine-tune, …) and measure what moves",
        example="gapfc transfer source=outputs/train/… dataset=mnist protocol=linear_probe",
        module="gapfc.cli.commands.transfer",
        config="transfer",
        under_hydra=True,
    ),
    "inspect": Command(
        summary="feature map, parameters, compute and time of heads, without training",
        example="gapfc inspect head=fc,gap,nin,spp,sppf",
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
        summary="write a trained model for other programs: ONNX, torch.export, safetensors",
        example="gapfc export outputs/train/… model.onnx",
        module="gapfc.cli.commands.export",
    ),
    "claims": Command(
        summary="what people say of GAP and fc, each with a verdict from runs made for it",
        example="gapfc claims preset=quick",
        module="gapfc.cli.commands.claims",
        config="claims",
        under_hydra=True,
        sweeps=False,
    ),
    "compare": Command(
        summary="what the runs say: differences, how sure they are, pictures, a report page",
        example="gapfc compare outputs --baseline fc --html report.html",
        module="gapfc.cli.commands.compare",
    ),
    "predict": Command(
        summary="what a trained model sees in your images, and where it looks",
        example="gapfc predict outputs/train/… photos --top 3 --cam maps",
        module="gapfc.cli.commands.predict",
    ),
    "dashboard": Command(
        summary="TensorBoard over the runs, heads side by side",
        example="gapfc dashboard outputs",
        module="gapfc.cli.commands.dashboard",
    ),
}
