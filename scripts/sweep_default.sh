#!/bin/sh
# One by one with all threads, or as many at a time as there are cores with one thread each? Runs the
# README's sweep both ways, in turn, and prints both times and their ratio for each round.
#   scripts/sweep_default.sh [rounds] [key=value ...]
# Needs: pip install 'gapfc[joblib]'. Settings behind the rounds go to both ways.
set -eu
rounds=${1:-3}
[ $# -gt 0 ] && shift
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
unset OMP_NUM_THREADS

tenths() {  # of a second, of the sweep with these settings
    begin=$(date +%s%N)
    gapfc train -m head=fc,gap,nin,spp,sppf seed=0,1,2 "$@" >"$out/log" 2>&1 || {
        cat "$out/log" >&2
        return 1
    }
    echo $((($(date +%s%N) - begin) / 100000000))
}

round=1
while [ "$round" -le "$rounds" ]; do
    alone=$(tenths output_root="$out/alone$round" "$@")
    together=$(tenths output_root="$out/together$round" hydra/launcher=joblib "$@")
    awk -v r="$round" -v a="$alone" -v t="$together" 'BEGIN {
        printf "round %d: one by one %.1f s, at once %.1f s: %.2f times as fast\n",
            r, a / 10, t / 10, a / t }'
    round=$((round + 1))
done
