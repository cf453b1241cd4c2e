"""How long packets of each codec last, by column."""

import numpy as np
import numpy.typing as npt

from agent.model.call import MediaFormat


def durations(
    what: MediaFormat, memory: npt.NDArray[np.uint8], start: npt.NDArray[np.int64], size: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Samples at 8000 Hz of the RTP payloads at `start` of `memory`, `size` bytes each."""
    return np.full(len(start), 160, np.int64)
