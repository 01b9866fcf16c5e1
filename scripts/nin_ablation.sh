#!/bin/sh
# Network in Network's ablation on CIFAR-10 (configs/experiment/nin_ablation.yaml): fully connected
# with and without dropout against the mean of one map a class. Every rate is tried on seed 0; the
# other seeds train each variant at the rate that validation preferred there.
#
#   GAPFC_DATA=data scripts/nin_ablation.sh
#
# 18 runs of 30 epochs: for a GPU. The part of it that scripts/results/nin_ablation is of:
#   scripts/nin_ablation.sh dataset.train_limit=10000 dataset.val_limit=2000 trainer.epochs=15
# Settings behind the command go to gapfc train. Stopped and started again, it does what is left.
set -eu
out=${OUT:-outputs/nin_ablation}

variant() {  # HEAD DROPOUT SEEDS RATES SETTINGS...
    head=$1 dropout=$2 seeds=$3 rates=$4
    shift 4
    case $head in
        fc) own='head.hidden=[]' ;;
        nin) own=head.conv=false ;;
    esac
    gapfc train -m experiment=nin_ablation "head=$head" "$own" "head.dropout=$dropout" \
        "seed=$seeds" "optimizer.lr=$rates" output_root="$out" "$@"
}

compared() {
    gapfc compare "$out" --by head,head.dropout --baseline head=fc,head.dropout=0.0 \
        --choose optimizer.lr --margin 1 --json "$out/comparison.json"
}

for each in 'fc 0.0' 'fc 0.5' 'nin 0.0'; do
    # shellcheck disable=SC2086  # two words
    variant $each 0 "${LRS:-1e-3,3e-3,1e-2,3e-2}" "$@"
done
compared >"$out/rates.txt"
chosen=$(python3 -c 'import json, sys
for each in json.load(open(sys.argv[1]))["chosen"]:
    print(*each["values"], each["chosen"]["optimizer.lr"], sep=",")' "$out/comparison.json")
for each in $chosen; do
    name=${each%,*}
    variant "${name%,*}" "${name#*,}" "${SEEDS:-0,1,2}" "${each##*,}" "$@"
done
compared
