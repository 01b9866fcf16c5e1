"""The heads: what turns a feature map `[B, C, H, W]` into logits `[B, K]`.

Every head is built as `Head(feature_shape=(C, H, W), num_classes=K, **options)` and is a plain
`nn.Module` that works in any network.
"""

from gapfc.heads.fc import FC
from gapfc.heads.gap import GAP
from gapfc.heads.gapgmp import GAPGMP
from gapfc.heads.gem import GeM
from gapfc.heads.gmp import GMP
from gapfc.heads.nin import NIN
from gapfc.heads.spp import SPP
from gapfc.heads.spp_fixed import SPPFixed
from gapfc.heads.sppf import SPPF

__all__ = ["FC", "GAP", "GAPGMP", "GMP", "NIN", "SPP", "SPPF", "GeM", "SPPFixed"]
