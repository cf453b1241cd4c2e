"""G.711 (ITU-T G.711, RFC 3551 §4.5.14) by table: A-law and µ-law bytes to 16-bit samples and back."""

import numpy as np
import numpy.typing as npt

from agent.model.call import Codec

SILENCE = {Codec.PCMU: 0xFF, Codec.PCMA: 0xD5}
"""The byte of each codec that sounds as nothing."""


def decode(payload: npt.NDArray[np.uint8], codec: Codec) -> npt.NDArray[np.int16]:
    """Samples (int16, 8 kHz) of a G.711 payload, one a byte."""
    return _DECODE[codec][payload]


def encode(pcm: npt.NDArray[np.int16], codec: Codec) -> npt.NDArray[np.uint8]:
    """The G.711 payload nearest to samples (int16, 8 kHz)."""
    return _ENCODE[codec][pcm.astype(np.int64) + 32768]


def _mu_law() -> npt.NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code.astype(np.int64) >> 4) & 7, code.astype(np.int64) & 15
    size = ((mantissa * 8 + 132) << exponent) - 132
    return np.where(code & 128, -size, size).astype(np.int16)


def _a_law() -> npt.NDArray[np.int16]:
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = (code.astype(np.int64) >> 4) & 7, code.astype(np.int64) & 15
    size = np.where(exponent == 0, mantissa * 16 + 8, (mantissa * 16 + 264) << np.maximum(exponent - 1, 0))
    return np.where(code & 128, size, -size).astype(np.int16)


def _nearest(table: npt.NDArray[np.int16], silence: int) -> npt.NDArray[np.uint8]:
    """For each 16-bit sample (index + 32768) the code whose sample is nearest."""
    order = np.argsort(table, kind="stable")
    levels = table[order].astype(np.int64)
    cuts = (levels[1:] + levels[:-1] + 1) // 2
    codes = order[np.searchsorted(cuts, np.arange(-32768, 32768), side="right")].astype(np.uint8)
    if table[silence] == 0:
        codes[32768] = silence  # µ-law writes nothing in two ways
    return codes


_DECODE = {Codec.PCMU: _mu_law(), Codec.PCMA: _a_law()}
_ENCODE = {codec: _nearest(table, SILENCE[codec]) for codec, table in _DECODE.items()}
