#!/bin/sh
# How much sooner a sweep ends with several runs at a time: the same four runs one after the other,
# then by the joblib launcher; prints both times and their ratio. Needs: pip install 'gapfc[joblib]'
# Settings behind the command go to both, such as trainer.epochs=15 hydra.launcher.n_jobs=2
set -eu
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

seconds() {  # of a sweep with these settings
    begin=$(date +%s)
    gapfc train -m head=fc,gap seed=0,1 trainer.epochs=5 "$@" >"$out/log" 2>&1 || {
        cat "$out/log" >&2
        return 1
    }
    echo $(($(date +%s) - begin))
}

# hydra.launcher.* belongs to the parallel sweep alone.
plain=$(for word in "$@"; do case $word in hydra*) ;; *) printf '%s\n' "$word" ;; esac; done)
# shellcheck disable=SC2086
alone=$(seconds output_root="$out/alone" $plain)
together=$(seconds output_root="$out/together" hydra/launcher=joblib "$@")
awk -v a="$alone" -v t="$together" \
    'BEGIN { printf "one by one %d s, in parallel %d s: %.2f times as fast\n", a, t, a / t }'
