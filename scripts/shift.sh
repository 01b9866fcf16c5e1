#!/bin/sh
# README's first table: five heads on digits that were moved by 0 to 8 pixels, three seeds.
# 15 runs; stopped and started again, it does what is left. Settings behind it go to gapfc train.
set -eu
out=${OUT:-outputs/shifted}

gapfc train -m head=fc,gap,nin,spp,sppf seed=0,1,2 augment=none 'trainer.probes=[shift]' \
    output_root="$out" "$@"
gapfc compare "$out" --json "$out/unmoved.json"
for pixels in 4 8; do
    gapfc compare "$out" --metric probe.shift.zero.$pixels.accuracy --out "$out/moved_by_$pixels"
done
