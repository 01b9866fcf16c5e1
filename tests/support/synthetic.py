"""Synthetic run directories: what `gapfc train` and `gapfc transfer` leave, in milliseconds."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from gapfc.records.identity import group_hash
from gapfc.records.predictions import Predictions, write_predictions
from gapfc.records.results import build_results

HEADS: dict[str, dict[str, Any]] = {
    "fc": {"name": "fc", "_target_": "gapfc.heads.FC", "hidden": [512], "dropout": 0.5},
    "gap": {"name": "gap", "_target_": "gapfc.heads.GAP", "hidden": []},
    "gmp": {"name": "gmp", "_target_": "gapfc.heads.GMP", "hidden": []},
    "gapgmp": {"name": "gapgmp", "_target_": "gapfc.heads.GAPGMP", "hidden": []},
    "gem": {"name": "gem", "_target_": "gapfc.heads.GeM", "p": 3.0},
    "nin": {"name": "nin", "_target_": "gapfc.heads.NIN", "relu": True, "conv": True},
    "spp": {"name": "spp", "_target_": "gapfc.heads.SPP", "levels": [1, 2, 4], "pool": "max"},
    "sppf": {"name": "sppf", "_target_": "gapfc.heads.SPPF", "channels": 128},
    "spp_fixed": {"name": "spp_fixed", "_target_": "gapfc.heads.SPPFixed", "pool": "avg"},
}
LEVEL = {
    "fc": 0.962, "gap": 0.971, "gmp": 0.968, "gapgmp": 0.972, "gem": 0.9715, "nin": 0.958,
    "spp": 0.966, "sppf": 0.969, "spp_fixed": 0.9705,
}  # fmt: skip
SPEED = {"fc": 2.0, "gap": 3.2, "gmp": 2.4, "gem": 2.6, "nin": 5.5, "spp": 1.8, "sppf": 2.9}
PARAMETERS = {
    "fc": 4_199_946, "gap": 5_130, "gmp": 5_130, "gapgmp": 10_250, "gem": 5_131, "nin": 5_130,
    "spp": 107_530, "sppf": 411_274, "spp_fixed": 15_370,
}  # fmt: skip
BACKBONE_PARAMETERS, BACKBONE_MACS = 1_206_336, 38_700_000
CONFIG: dict[str, Any] = {
    "dataset": {"name": "digits", "_target_": "gapfc.data.Digits", "image_size": 32,
                "train_limit": None},
    "backbone": {"name": "convnet", "_target_": "gapfc.backbones.ConvNet", "trainable": "all"},
    "augment": {"shift": 2},
    "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.05, "momentum": 0.9},
    "schedule": {"name": "cosine"},
    "seed": 0, "data_root": "data", "output_root": "outputs", "resume": None,
    "trainer": {"epochs": 12, "batch_size": 64, "device": "auto", "precision": "auto",
                "compile": False, "progress": "auto"},
}  # fmt: skip
COLUMNS = (
    "epoch,step,lr,train_loss,train_accuracy,val_loss,val_accuracy,val_top5,gradient_backbone,"
    "gradient_head,drift_backbone,drift_head,images_per_second,seconds"
)


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with dotted `changes`: {"trainer.epochs": 3}."""
    merged = copy.deepcopy(base)
    for path, value in changes.items():
        *nodes, last = path.split(".")
        inner = merged
        for node in nodes:
            inner = inner.setdefault(node, {})
        inner[last] = value
    return merged


def write_run(
    root: Path,
    head: str = "gap",
    seed: int = 0,
    *,
    accuracy: float | None = None,
    when: str = "20261122-041530",
    status: str = "completed",
    error: str | None = None,
    config: dict[str, Any] | None = None,
    results: dict[str, Any] | None = None,
    transfer: dict[str, Any] | None = None,
) -> Path:
    """Writes one run; `config` and `results` are dotted changes. Returns its directory.

    The accuracy, unless given, is the head's level and a spread that the heads of a seed share in
    part, as runs with the same backbone weights do.
    """
    made = merge(CONFIG | {"head": HEADS[head], "seed": seed}, config or {})
    shared = np.random.default_rng(seed).normal(0, 0.003)
    own = np.random.default_rng([seed, sorted(HEADS).index(head)]).normal(0, 0.002)
    if accuracy is None:
        accuracy = round(float(LEVEL[head] + shared + own), 4)
    epochs = made["trainer"]["epochs"]
    curve = _curve(accuracy, epochs, SPEED.get(head, 3.0), seed)
    command = "train" if transfer is None else "transfer"
    names = made["dataset"]["name"], made["backbone"]["name"], head
    path = root / command / Path(*names) / f"{when}-s{seed}"
    while path.exists():
        path = path.with_name(path.name + "x")
    path.mkdir(parents=True)
    parameters = PARAMETERS[head]
    facts: dict[str, Any] = {
        "status": status, "error": error, "command": command, "seed": seed,
        "group": group_hash(made), "dataset": names[0], "backbone": names[1], "head": head,
        "device": "cpu", "precision": "fp32", "gapfc": "0.1.0", "torch": "2.15.0", "git": None,
        "parameters": {"backbone": BACKBONE_PARAMETERS, "head": parameters,
                       "total": BACKBONE_PARAMETERS + parameters,
                       "trainable": BACKBONE_PARAMETERS + parameters},
        "macs": {"backbone": BACKBONE_MACS, "head": parameters,
                 "total": BACKBONE_MACS + parameters},
        "feature_map": [512, 4, 4], "input": [3, 32, 32], "epochs": epochs, "steps": epochs * 18,
        "train_seconds": float(curve["seconds"][-1]), "images_per_second": 2100.0 + 40 * seed,
        "peak_memory_bytes": 300_000_000,
        "train": {"accuracy": float(curve["train_accuracy"][-1]), "nll": 0.05},
        "val": {"accuracy": round(accuracy + 0.004, 4), "nll": 0.10},
        "test": {"accuracy": accuracy, "nll": round(3.2 * (1 - accuracy), 5), "ece": 0.02,
                 "brier": 0.05},
        "best_epoch": epochs,
        "generalization_gap": {"accuracy": float(curve["train_accuracy"][-1] - accuracy)},
        "convergence": _convergence(curve, (0.5, 0.8, 0.9, 0.95, 0.99)),
    }  # fmt: skip
    if transfer is not None:
        facts["transfer"] = transfer
    if status != "completed":
        for name in ("train", "val", "test", "convergence", "generalization_gap"):
            facts[name] = None
    document = merge(build_results(**facts), results or {})
    (path / "results.json").write_text(json.dumps(document, indent=1))
    (path / "config.yaml").write_text(yaml.safe_dump(made, sort_keys=False))
    rows = zip(*(curve[name] for name in COLUMNS.split(",")), strict=True)
    lines = [",".join("" if v != v else f"{v:.6g}" for v in row) for row in rows]
    (path / "metrics.csv").write_text("\n".join([COLUMNS, *lines]) + "\n")
    return path


def write_measured(
    root: Path, head: str, seed: int, right: np.ndarray, *, first: int = 0, label: int = 3,
    **options: Any,
) -> Path:  # fmt: skip
    """Writes a run with predictions.npz: `right` [I] of the images `first`, first + 1, …

    Its test accuracy is their mean; the order in the file differs from seed to seed.
    """
    path = write_run(root, head, seed, accuracy=float(np.mean(right)), **options)
    order = np.random.default_rng(seed).permutation(len(right))
    labels = np.full(len(right), label)
    sure = np.full(len(right), 0.9)
    seen = np.where(right, label, label + 1)[order]
    write_predictions(path, Predictions(first + order, labels, seen, sure, sure))
    return path


def _curve(accuracy: float, epochs: int, pace: float, seed: int) -> dict[str, np.ndarray]:
    epoch = np.arange(1, epochs + 1, dtype=float)
    noise = np.random.default_rng(seed + 77).normal(0, 0.006, epochs) * (1 - epoch / epochs)
    val = (accuracy + 0.004) * (1 - 0.8 * np.exp(-epoch / pace)) + noise
    train = np.minimum(1.0, (accuracy + 0.025) * (1 - 0.85 * np.exp(-epoch / pace)))
    nothing = np.full(epochs, np.nan)
    return {
        "epoch": epoch, "step": epoch * 18, "lr": 0.05 * (1 + np.cos(np.pi * epoch / epochs)) / 2,
        "train_loss": 2.3 * (1 - train) + 0.02, "train_accuracy": train,
        "val_loss": 2.5 * (1 - val) + 0.03, "val_accuracy": val, "val_top5": nothing,
        "gradient_backbone": 1 / epoch, "gradient_head": 0.5 / epoch,
        "drift_backbone": 0.1 * np.sqrt(epoch), "drift_head": 0.2 * np.sqrt(epoch),
        "images_per_second": np.full(epochs, 2100.0), "seconds": epoch * (2.1 + 0.05 * pace),
    }  # fmt: skip


def _convergence(curve: dict[str, np.ndarray], targets: tuple[float, ...]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for target in targets:
        there = np.flatnonzero(curve["val_accuracy"] >= target)
        table[f"{target:.2f}"] = None
        if len(there):
            first = int(there[0])
            table[f"{target:.2f}"] = {
                "epochs": float(curve["epoch"][first]), "steps": float(curve["step"][first]),
                "seconds": float(curve["seconds"][first]),
            }  # fmt: skip
    area = float(np.mean(curve["val_accuracy"]))
    return {"area_under_curve": area, "to_accuracy": table, "to_fraction_of_best": {}}


def write_transfer(root: Path, head: str, protocol: str, seed: int) -> Path:
    """Writes one transfer run from `head` under `protocol`."""
    gain = {"scratch": 0.0, "linear_probe": -0.04, "finetune": 0.012, "lp_ft": 0.016}[protocol]
    if protocol == "linear_probe":
        gain += {"fc": -0.03, "gap": 0.01}.get(head, 0.0)
    noise = np.random.default_rng([seed, len(protocol), sorted(HEADS).index(head)])
    moved = {"scratch": 0.0, "linear_probe": 0.0, "finetune": 1.0, "lp_ft": 0.6}[protocol]
    moved *= {"fc": 1.3, "gap": 0.7}.get(head, 1.0)
    block: dict[str, Any] = {
        "protocol": protocol,
        "source": {"head": head, "dataset": "fashion_mnist", "backbone": "convnet", "seed": seed,
                   "test_accuracy": 0.91},
        "gain_over_scratch": gain,
        "cka": {f"stages.{i}": float(1 - moved * 0.09 * i + noise.normal(0, 0.004))
                for i in range(4)},
        "drift": {f"backbone.stages.{i}.{name}": float(moved * (0.03 + 0.025 * i)
                                                       + abs(noise.normal(0, 0.003)))
                  for i in range(4) for name in ("0.weight", "1.weight")},
    }  # fmt: skip
    if protocol == "scratch":
        block |= {"cka": {}, "drift": {}, "gain_over_scratch": None}
    accuracy = round(float(0.94 + gain + noise.normal(0, 0.003)), 4)
    return write_run(
        root, head, seed, accuracy=accuracy, transfer=block, when=f"20261122-0416{len(protocol)}",
        config={"dataset.name": "mnist", "protocol": protocol,
                "source": f"outputs/train/fashion_mnist/convnet/{head}/x-s{seed}"},
    )  # fmt: skip


def change(run: Path, config: dict[str, Any], results: dict[str, Any]) -> None:
    """Dotted changes to a run that is there; its group follows from its configuration."""
    made = merge(yaml.safe_load((run / "config.yaml").read_text()), config)
    (run / "config.yaml").write_text(yaml.safe_dump(made, sort_keys=False))
    document = json.loads((run / "results.json").read_text())
    document = merge(document, {"group": group_hash(made), **results})
    (run / "results.json").write_text(json.dumps(document))
