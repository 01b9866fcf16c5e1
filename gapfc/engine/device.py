"""Where and in which number format a run computes, and what makes it reproducible."""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from gapfc.errors import UserError
from gapfc.validators import one_of

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Precision:
    """A number format, and why it was picked. Weights and optimiser stay in fp32."""

    name: str
    reason: str
    device_type: str

    def autocast(self) -> AbstractContextManager[None]:
        """The context in which forward passes run."""
        enabled = self.name != "fp32"
        return torch.autocast(self.device_type, DTYPES[self.name], enabled=enabled)

    def scaler(self) -> torch.amp.GradScaler:
        """Loss scaling, which only fp16 needs (bf16 has the range of fp32)."""
        return torch.amp.GradScaler(self.device_type, enabled=self.name == "fp16")


def choose_device(requested: str) -> torch.device:
    """The device that `trainer.device` asks for.

    Raises:
        UserError: for anything but auto, cpu or cuda, or for CUDA if there is none.
    """
    one_of("trainer.device", requested, ("auto", "cpu", "cuda"))
    if requested == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "trainer.device=cuda, but torch sees no CUDA device here. Take trainer.device=cpu."
        )
    if requested == "auto":
        requested = "cuda" if torch.cuda.is_available() else "cpu"
    # Each rank of a run has the GPU that was made its current one.
    number = torch.cuda.current_device() if requested == "cuda" else 0
    return torch.device("cuda", number) if number else torch.device(requested)


def choose_precision(requested: str, device: torch.device) -> Precision:
    """The number format that `trainer.precision` asks for, with the reason.

    `auto` is bf16 if the hardware multiplies bf16 matrices natively, and fp32 elsewhere, where
    bf16 would be emulated and slower.

    Raises:
        UserError: for anything but auto, fp32, bf16 or fp16, or for fp16 on the CPU.
    """
    one_of("trainer.precision", requested, ("auto", *DTYPES))
    if requested == "fp16" and device.type == "cpu":
        raise UserError(
            "trainer.precision=fp16 needs a GPU: processors have no fast fp16 arithmetic, and its "
            "narrow range then only costs accuracy. Take bf16 or fp32."
        )
    if requested != "auto":
        return Precision(requested, "as asked for", device.type)
    hardware = _native_bf16(device)
    if hardware:
        return Precision("bf16", f"{hardware} multiplies it natively", device.type)
    return Precision("fp32", "this hardware has no bf16 arithmetic of its own", device.type)


def _native_bf16(device: torch.device) -> str | None:
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.cuda.get_device_name(device) if native else None
    if torch.cpu._is_amx_tile_supported():
        return "AMX"
    return "AVX512-BF16" if torch.cpu._is_avx512_bf16_supported() else None


def set_determinism(deterministic: bool, compiled: bool = False) -> None:
    """Make the same config give the same numbers, or let cuDNN look for the fastest kernels.

    compiled: whether torch.compile is to be told, too.
    """
    if deterministic:
        # cuBLAS reads this when CUDA starts; without it, cuBLAS refuses deterministic algorithms.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # The same as use_deterministic_algorithms, but for the compiler's own switch: that would import
    # all of the compiler, a second, also where nothing is compiled.
    torch.set_deterministic_debug_mode("error" if deterministic else "default")
    if compiled:
        torch.use_deterministic_algorithms(deterministic)
    # Otherwise every new tensor would be filled with NaN, which finds bugs and costs time. (The
    # module gets this attribute when it is imported, which mypy can't see.)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not deterministic


def flush_subnormals() -> None:
    """Have processors take numbers nearer to 0 than 1.2e-38 for 0; before the first computation.

    They compute such numbers many times slower than others, and the gradients of images that a
    network is sure of are such numbers. Threads take this over from the one that starts them.
    """
    torch.set_flush_denormal(True)


def peak_memory(device: torch.device) -> int:
    """Peak bytes in use so far: of the GPU, or of this process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import sys

    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
