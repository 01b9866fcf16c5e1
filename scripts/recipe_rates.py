#!/usr/bin/env python3
"""Which rates a recipe should have: as many are tried for every head, on several sets of photos.

    python scripts/recipe_rates.py frozen|finetune photos others[:SPLIT] ...
        [--heads gap,nin] [--backbone 5e-6,2e-5] [--seeds 0] [--try trainer.ema=0.95]
        [--json FILE] [--out FOLDER]
        -- backbone=squeezenet1_1 backbone.weights=DEFAULT

Each folder holds a folder per class; `:SPLIT` sets `dataset.split_seed`. A third of each is for
validation, by which the rates are judged; nothing is held out for testing. Stopped and started
again, it does what is left. Printed are, for each head and pair of rates, validation accuracy and
loss on each set, best mean accuracy first; of equal ones, the lower loss.

With --try, any number of times, not rates but other settings are tried: the recipe as it is, and
with each of them, under every head. Then the mean over heads says which is best for all.
"""

import argparse
import json
import statistics
import subprocess
import sys
from itertools import product
from pathlib import Path

# Of the head, around what was known to work before; of the backbone's last stage, three.
HEAD = {"gap": 3e-3, "nin": 3e-3, "fc": 1e-4, "spp": 1e-3, "sppf": 1e-3}
AROUND = {"frozen": (1 / 3, 1, 3), "finetune": (1 / 3, 1)}
BACKBONE = "5e-6,2e-5,1e-4"


def rates(recipe: str, head: str, backbone: str) -> list[list[str]]:
    """The settings of each candidate."""
    own = [float(f"{HEAD[head] * factor:.1g}") for factor in AROUND[recipe]]
    if recipe == "frozen":
        return [[f"optimizer.lr={rate:g}"] for rate in own]
    return [
        [f"optimizer.lr={below:g}", f"head.lr_multiplier={above / below:g}"]
        for below, above in product(map(float, backbone.split(",")), own)
    ]


def measured(out: Path, recipe: str, head: str, folder: str, split: str, own: list[str],
             more: list[str], seeds: str) -> tuple[float, float]:  # fmt: skip
    """Mean validation accuracy and loss of a candidate on one set."""
    name = "_".join(own).replace("=", "-") or "as_it_is"  # Hydra reads no = in a value
    root = out / recipe / head / f"{Path(folder).resolve().name}-{split}" / name
    settings = [
        "train", "-m", f"seed={seeds}", f"head={head}", f"recipe={recipe}", *own,
        "dataset=folder", f"dataset.train_dir={Path(folder).resolve()}",
        "dataset.test_fraction=null", "dataset.val_fraction=0.33", f"dataset.split_seed={split}",
        f"output_root={root}", "trainer.progress=false", *more,
    ]  # fmt: skip
    done = subprocess.run(["gapfc", *settings], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
    found = [json.loads(file.read_text())["val"] for file in sorted(root.rglob("results.json"))]
    accuracy, loss = ([each[key] for each in found] for key in ("accuracy", "nll"))
    return statistics.mean(accuracy), statistics.mean(loss)


def main() -> None:
    """Run what is asked for, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", choices=("frozen", "finetune"))
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--heads", default=",".join(HEAD))
    parser.add_argument("--backbone", default=BACKBONE, help="rates of its last stage")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--try", action="append", dest="tried", metavar="SETTING", default=[])
    parser.add_argument("--out", type=Path, default=Path("outputs/recipe_rates"))
    parser.add_argument("--json", type=Path)
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    more = [word for word in words[cut + 1 :] if not word.startswith("--")]
    asked = parser.parse_args(words[:cut])
    sets = [(name, split or "0") for name, _, split in (f.partition(":") for f in asked.folders)]
    others: list[list[str]] = [[], *([setting] for setting in asked.tried)] if asked.tried else []
    table = []
    for head in asked.heads.split(","):
        rows = []
        for own in others or rates(asked.recipe, head, asked.backbone):
            scores = [
                measured(asked.out, asked.recipe, head, folder, split, own, more, asked.seeds)
                for folder, split in sets
            ]
            row = {"head": head, "settings": own, "accuracy": [a for a, _ in scores],
                   "loss": [loss for _, loss in scores]}  # fmt: skip
            rows.append(row)
            print(head, *own, *(f"{a:.2%} ({n:.3f})" for a, n in scores), flush=True)
        rows.sort(key=lambda row: (-statistics.mean(row["accuracy"]), statistics.mean(row["loss"])))
        best = rows[0]
        said = " ".join(best["settings"]) or "as it is"
        print(f"-> {head}: {said}, {statistics.mean(best['accuracy']):.2%}\n")
        table += rows
    for tried in others:
        found = [statistics.mean(r["accuracy"]) for r in table if r["settings"] == tried]
        print(f"{' '.join(tried) or 'as it is'}: {statistics.mean(found):.2%} over heads and sets")
    if asked.json:
        names = [f"{Path(folder).name}:{split}" for folder, split in sets]
        asked.json.write_text(
            json.dumps({"recipe": asked.recipe, "sets": names, "seeds": asked.seeds,
                        "rows": table}, indent=1) + "\n"
        )  # fmt: skip


if __name__ == "__main__":
    main()
