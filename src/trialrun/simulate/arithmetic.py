"""Compiled arithmetic of the kernel: logarithm and exponential in plain steps, and the drug between doses."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(error_model="numpy")
def log(x):  # type: ignore[no-untyped-def]
    """Natural logarithm of a normal positive number, to 2 units in the last place, in plain arithmetic.

    Written out because a call of the C library would keep the compiler from working on several lanes at once (and
    differs between libraries). x = m 2^e with m from 0.71 to 1.41; log m = 2 artanh((m - 1)/(m + 1)) by its series.
    """
    bits = np.float64(x).view(np.uint64) + np.uint64(0x95F619980C433)
    exponent = np.uint64((bits >> np.uint64(52)) | np.uint64(0x4330000000000000)).view(np.float64) - 4503599627371519.0
    m = np.uint64((bits & np.uint64(0xFFFFFFFFFFFFF)) + np.uint64(0x3FE6A09E667F3BCD)).view(np.float64)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = (((2.0 / 21 * z + 2.0 / 19) * z + 2.0 / 17) * z + 2.0 / 15) * z + 2.0 / 13
    p = ((((p * z + 2.0 / 11) * z + 2.0 / 9) * z + 2.0 / 7) * z + 2.0 / 5) * z + 2.0 / 3
    return exponent * 0.693147180369123816490 + (exponent * 1.90821492927058770002e-10 + (2.0 * s + s * z * p))


@njit(error_model="numpy")
def exp(x):  # type: ignore[no-untyped-def]
    """Exponential of -700 < x < 700, to 2 units in the last place, in plain arithmetic: 2^n e^r, e^r by its series."""
    shifted = x * 1.4426950408889634 + 6755399441055744.0
    n = shifted - 6755399441055744.0
    r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10
    p = ((1.0 / 479001600 * r + 1.0 / 39916800) * r + 1.0 / 3628800) * r + 1.0 / 362880
    p = (((p * r + 1.0 / 40320) * r + 1.0 / 5040) * r + 1.0 / 720) * r + 1.0 / 120
    p = (((p * r + 1.0 / 24) * r + 1.0 / 6) * r + 0.5) * r + 1.0
    bits = np.float64(p * r + 1.0).view(np.uint64) + (np.float64(shifted).view(np.uint64) << np.uint64(52))
    return np.uint64(bits).view(np.float64)


@njit(error_model="numpy")
def drug_over(t, gut, out, site):  # type: ignore[no-untyped-def]
    """The six exact coefficients of drug in gut, blood and site after time t (days), and two of its exposure.

    e2(x, y) = (exp(-y t) - exp(-x t))/(x - y) is kept exact where two rates are equal; `gut` must differ from `site`.
    """
    gut_out, out_site, out_zero = _pair(t, gut, out), _pair(t, out, site), _pair(t, out, 0.0)
    gut_site_blood = (out_site - gut_out) / (gut - site)
    gut_zero_blood = (out_zero - gut_out) / gut
    return (
        *(np.exp(-gut * t), np.exp(-out * t), np.exp(-site * t)),
        *(gut * gut_out, site * out_site, site * gut * gut_site_blood),
        *(out_zero, gut * gut_zero_blood),
    )


@njit(error_model="numpy")
def _pair(t, x, y):  # type: ignore[no-untyped-def]
    """(exp(-y t) - exp(-x t))/(x - y), or its limit where x = y."""
    z = (x - y) * t
    if abs(z) < 1e-5:
        return np.exp(-y * t) * t * (1.0 - z / 2.0 + z * z / 6.0)
    return -np.exp(-y * t) * np.expm1(-z) / (x - y)
