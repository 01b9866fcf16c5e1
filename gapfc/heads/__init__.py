"""The heads: what turns a feature map `[B, C, H, W]` into logits `[B, K]`.

Every head is built as `Head(feature_shape=(C, H, W), num_classes=K, **options)` and is a plain
`nn.Module` that works in any network. What other packages need to know of a head, it says itself:

    accepts_any_size    whether it takes feature maps of other sizes than it was built for
    pool(features)      the vector that it makes of a feature map, `[B, width]`: optional
    maps(features)      a map of each class, `[B, K, H, W]`, whose means are the logits: optional
    last_layer          the Linear or 1×1 convolution that gives the logits, or None: optional
    widths(options)     how it is made larger or smaller: optional, and static, as it is called
                        before the head is built. A list of functions, each from a number n >= 1 to
                        the options that make the head n wide, solved one after another.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gapfc.heads.attn import Attn
from gapfc.heads.fc import FC
from gapfc.heads.gap import GAP
from gapfc.heads.gapgmp import GAPGMP
from gapfc.heads.gem import GeM
from gapfc.heads.gmp import GMP
from gapfc.heads.lse import LSE
from gapfc.heads.nin import NIN
from gapfc.heads.spp import SPP
from gapfc.heads.spp_fixed import SPPFixed
from gapfc.heads.sppf import SPPF

__all__ = ["FC", "GAP", "GAPGMP", "GMP", "LSE", "NIN", "SPP", "SPPF", "Attn", "GeM", "SPPFixed"]

# Options under which a head, if it has them, is a linear classifier of what it pools: no layers in
# between, and no ReLU behind NIN's convolution (mean(conv1×1(x)) = Linear(mean(x))).
LINEAR: Mapping[str, Any] = {"hidden": [], "dropout": 0.0, "relu": False}


def names(which: Callable[[Any], bool]) -> str:
    """Those heads of gapfc of whose class `which` is true, as `head=` takes them.

    >>> names(lambda head: not head.accepts_any_size)
    'fc'
    """
    classes = (globals()[name] for name in __all__)
    # Each is in a file of the name that `head=` takes.
    return ", ".join(sorted(c.__module__.rpartition(".")[2] for c in classes if which(c)))
