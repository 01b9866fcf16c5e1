#!/bin/sh
# Five heads, three seeds, on a subset of Fashion-MNIST: 4,000 training images, 2,000 test images,
# 4 epochs. 15 runs, 8 minutes on 2 cores (n = 1); started again, it does what is left.
# Settings behind the command go to gapfc train, such as dataset.train_limit=null trainer.epochs=15
# for all 60,000 images.
set -eu
out=${OUT:-outputs/compare_heads_fashion}

gapfc train sweep=heads head=fc,gap,nin,spp,sppf seed=0,1,2 dataset=fashion_mnist \
    dataset.train_limit=4000 dataset.test_limit=2000 trainer.epochs=4 output_root="$out" "$@"
gapfc compare "$out" --baseline fc --out "$out/comparison" --html "$out/comparison/report.html"
