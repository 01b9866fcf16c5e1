#!/bin/sh
# From a folder of photos to a report: five heads and five seeds on a pretrained backbone, whose
# features stay as they are (frozen), or whose last stage is trained as well (finetune).
#
#   scripts/photos.sh photos backbone=squeezenet1_1 backbone.weights=DEFAULT
#
# The folder holds one per class, or train, val and test with one per class each; the backbone and
# other settings behind it go to gapfc train. Stopped and started again, it does what is left.
# Ends with $OUT/frozen.html and $OUT/finetune.html.
set -eu
photos=${1:?'a folder of photos, one subfolder per class, and the backbone'}
shift
out=${OUT:-outputs/photos}

for recipe in frozen finetune; do
    gapfc train -m head=gap,nin,fc,spp,sppf seed=0,1,2,3,4 recipe=$recipe \
        dataset=folder dataset.train_dir="$photos" output_root="$out/$recipe" "$@"
done
for recipe in frozen finetune; do
    gapfc compare "$out/$recipe" --baseline gap --html "$out/$recipe.html"
done
gapfc compare "$out" --by head,recipe --baseline head=gap,recipe=frozen
