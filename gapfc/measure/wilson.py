"""How sure a share is that was seen in a number of independent cases."""

import math
from statistics import NormalDist


def wilson(share: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of a share in [0, 1] that was seen in n cases, 1 or more.

    Wilson (JASA 22, 1927); unlike share ± z·√(share (1 − share) / n) it also holds near 0 and 1.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)
