#!/bin/sh
# What it saves to compute frozen features once: the same sweep on photos under a frozen backbone,
# with the cache (empty at the beginning) and without; prints seconds, their ratio, and memory.
#
#   scripts/frozen_features.sh photos backbone=squeezenet1_1 backbone.weights=DEFAULT
#
# SEEDS and HEADS shorten it: SEEDS=0 HEADS=gap,nin scripts/frozen_features.sh …
set -eu
photos=${1:?'a folder of photos, one subfolder per class, and the backbone'}
shift
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

seconds() {  # of the sweep with these settings
    begin=$(date +%s)
    gapfc train -m head="${HEADS:-gap,gmp,gem,nin,spp}" seed="${SEEDS:-0,1,2,3,4}" \
        dataset=folder dataset.train_dir="$photos" augment=none backbone.trainable=none \
        trainer.epochs=30 trainer.batch_size=32 cache_root="$out/cache" "$@" >"$out/log" 2>&1 || {
        cat "$out/log" >&2
        return 1
    }
    echo $(($(date +%s) - begin))
}

kept=$(seconds output_root="$out/kept" "$@")
anew=$(seconds output_root="$out/anew" "$@" trainer.cache_gib=0)
awk -v k="$kept" -v a="$anew" \
    'BEGIN { printf "computed once %d s, at every step %d s: %.1f times as soon\n", k, a, a / k }'
python - "$out" <<'END'
import json, sys
from pathlib import Path

for name in ("kept", "anew"):
    files = sorted(Path(sys.argv[1], name).rglob("results.json"))
    found = [json.loads(file.read_text()) for file in files]
    peak = max(run["peak_memory_bytes"] for run in found) / 2**20
    print(f"{name}: {len(found)} runs, peak memory {peak:.0f} MiB")
same = [
    [file.read_bytes() for file in sorted(Path(sys.argv[1], name).rglob("predictions.npz"))]
    for name in ("kept", "anew")
]
print("predictions are", "the same to the bit" if same[0] == same[1] else "not the same")
END
du -sh "$out/cache/features" | sed 's/\t.*/ on disk/'
