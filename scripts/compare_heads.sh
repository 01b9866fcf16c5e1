#!/bin/sh
# Five heads on Fashion-MNIST: accuracy, convergence, parameters, and what moved images do to each, at
# rates that validation chooses for each head from the same three.
#
#   GAPFC_DATA=data scripts/compare_heads.sh
#
# A stated part: 10,000 of the 60,000 images, 6 epochs, a convnet of 16 to 128 channels, no augmentation;
# all 10,000 test images. 45 runs; stopped and started again, it does what is left.
# Settings behind the command go to gapfc train: dataset.train_limit=null trainer.epochs=15 for all
# images, hydra/launcher=joblib for a run on each core.
set -eu
out=${OUT:-outputs/compare_heads}

gapfc train -m head=fc,gap,nin,spp,sppf seed=0,1,2 optimizer.lr=3e-3,1e-2,3e-2 dataset=fashion_mnist \
    dataset.train_limit=10000 dataset.val_limit=2000 trainer.epochs=6 augment=none \
    'backbone.widths=[16,32,64,128]' 'trainer.probes=[shift]' output_root="$out" "$@"
for metric in test.accuracy probe.shift.zero.4.accuracy convergence.area_under_curve; do
    gapfc compare "$out" --baseline fc --choose optimizer.lr --metric $metric \
        --out "$out/comparison/$metric"
done
gapfc compare "$out" --baseline fc --choose optimizer.lr --html "$out/comparison/report.html"
