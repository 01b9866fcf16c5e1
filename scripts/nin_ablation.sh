#!/bin/sh
# Network in Network's ablation on CIFAR-10 (configs/experiment/nin_ablation.yaml): fully connected
# with and without dropout against the mean of one map a class, each at its own chosen rate.
#
#   GAPFC_DATA=data scripts/nin_ablation.sh
#
# 27 runs of 30 epochs: for a GPU. A part of it on two cores:
#   scripts/nin_ablation.sh dataset.train_limit=10000 trainer.epochs=10
# Settings behind the command go to gapfc train. Stopped and started again, it does what is left.
set -eu
out=${OUT:-outputs/nin_ablation}

ablation() {
    gapfc train -m experiment=nin_ablation seed="${SEEDS:-0,1,2}" \
        optimizer.lr="${LRS:-3e-3,1e-2,3e-2}" output_root="$out" "$@"
}

ablation head=fc 'head.hidden=[]' head.dropout=0.0,0.5 "$@"
ablation head=nin head.conv=false "$@"
gapfc compare "$out" --by head,head.dropout --baseline head=fc,head.dropout=0.0 \
    --choose optimizer.lr --margin 1 --out "$out/comparison"
