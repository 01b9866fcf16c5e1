#!/usr/bin/env python3
"""How many photos a second one core decodes, crops and resizes to 224×224.

    python scripts/decoding.py photos [--passes 3]

Printed is the median over the passes, after one photo that is not timed.
"""

import argparse
import statistics
import time
from pathlib import Path

from gapfc.data.framing import Framing
from gapfc.data.photo import decode

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", type=Path)
parser.add_argument("--passes", type=int, default=3)
asked = parser.parse_args()
files = sorted(str(path) for path in asked.folder.rglob("*.jpg"))
framing = Framing("crop", 0.875)
decode(files[0], (224, 224), framing)
rates = []
for _ in range(asked.passes):
    begin = time.perf_counter()
    for file in files:
        decode(file, (224, 224), framing)
    rates.append(len(files) / (time.perf_counter() - begin))
print(f"{len(files)} photos: {statistics.median(rates):.0f} a second")
