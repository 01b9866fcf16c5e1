"""Running out of memory: how to recognise it, and what to try."""

import torch
from omegaconf import DictConfig


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error`, or what it was raised from, says that there was no memory left anywhere."""
    if error.__cause__ is not None and is_out_of_memory(error.__cause__):
        return True
    # On the CPU torch raises a plain RuntimeError for it.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError)
        and any(words in str(error) for words in ("DefaultCPUAllocator", "Storage size"))
    )


def advice(config: DictConfig, device: str) -> str:
    """What to tell the user. config: of the run; device: its kind, `cpu` or `cuda`."""
    return (
        f"Out of memory on {device} at trainer.batch_size={config.trainer.batch_size}. Try half of "
        "it (trainer.accumulate=2 keeps the optimiser's steps as they were), "
        "trainer.precision=bf16, a smaller dataset.image_size or dataset.residency=stream."
    )
