"""What the payload types of each stream mean: its formats, how long their packets last, and which one is in use."""

import numpy as np
import numpy.typing as npt

from agent.media.arena import MOST_BYTES
from agent.media.block import PacketBlock
from agent.media.codecs import amr_packing, durations
from agent.media.columns import KEYS, NOISE, Columns, Numbers
from agent.media.g711 import SILENCE
from agent.media.rtp import Headers
from agent.model.call import Codec, MediaFormat

_SILENCE = SILENCE | {Codec.G722: 0xFF}
"""The byte of each codec of a byte a sample that sounds as nothing."""
MOST_FORMATS = 32
"""Payload types of one stream that are listened to."""
MOST_MEASURES = 200


class Formats:
    """Of the rows of `columns`, whose `kinds`, `current` and what follows from that it keeps."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._of: dict[int, tuple[MediaFormat, ...]] = {}
        self._came: dict[int, dict[str, None]] = {}
        self._measures: dict[tuple[object, ...], int] = {}
        self._measured = [MediaFormat(0, Codec.OTHER)]

    def begin(self, row: int, formats: tuple[MediaFormat, ...]) -> None:
        """A new stream."""
        self._came[row] = {}
        self.announce(row, formats)

    def end(self, row: int) -> None:
        """The stream is over."""
        del self._of[row], self._came[row]

    def of(self, row: int) -> tuple[MediaFormat, ...]:
        """All that were announced."""
        return self._of[row]

    def came(self, row: int) -> tuple[str, ...]:
        """The names of those of which media has been handed on."""
        return tuple(self._came.get(row, ()))

    def announce(self, row: int, formats: tuple[MediaFormat, ...]) -> None:
        """Listen to these formats; the first audio of them is in use until another comes."""
        c = self._columns
        self._of[row] = formats
        c.kinds[row] = 0
        audio = 0
        for number, one in enumerate(formats[:MOST_FORMATS], 1):
            if one.codec.is_audio:
                c.kinds[row, one.payload_type] = number | self._measure_of(one) << 8
                audio = audio or number
            else:
                c.kinds[row, one.payload_type] = KEYS if one.codec is Codec.TELEPHONE_EVENT else NOISE
        self.use(row, audio)

    def use(self, row: int, kind: int) -> None:
        """Make the format of this number the one in use; the buffer must have been handed on."""
        c = self._columns
        c.current[row], c.told[row] = kind, False
        one = self.in_use(row) if kind else MediaFormat(0, Codec.PCMA)
        c.rate[row], c.framed[row] = one.clock_rate, not one.codec.byte_a_sample
        c.silence[row] = _SILENCE.get(one.codec, 0)
        c.fill[row] = 0
        c.buffer[row] = c.silence[row]

    def in_use(self, row: int) -> MediaFormat:
        """The format of the media in the buffer."""
        return self._of[row][int(self._columns.current[row]) - 1]

    def note(self, row: int) -> None:
        """Media of the format in use has been handed on."""
        self._came[row][self.in_use(row).name or self.in_use(row).codec.value] = None
        self._columns.told[row] = True

    def measure(
        self, block: PacketBlock, h: Headers, row: Numbers, own: npt.NDArray[np.bool_]
    ) -> tuple[Numbers, Numbers]:
        """The number of each packet's format in its row, and how many samples it lasts."""
        entry = self._columns.kinds[row, h.payload_type]
        samples = h.size
        if len(entry) and int(entry.max()) > 0xFF:
            measure, samples = entry >> 8, samples.copy()
            for one in np.unique(measure[own]).tolist():
                if one:
                    mine = own & (measure == one)
                    lasts = durations(self._measured[one - 1], block.memory, h.start[mine], h.size[mine])
                    samples[mine] = np.where(h.size[mine] <= MOST_BYTES, lasts, 0)
        return entry & 0xFF, samples

    def _measure_of(self, one: MediaFormat) -> int:
        """The number of what tells how long packets of a format last; 0 for codecs of a byte a sample."""
        if one.codec.byte_a_sample:
            return 0
        named: tuple[object, ...] = (one.codec,)
        if one.codec in (Codec.AMR, Codec.AMR_WB):
            named += (amr_packing(one),)
        elif one.codec is Codec.L16:
            named += (one.clock_rate, one.channels)
        if named not in self._measures and len(self._measured) < MOST_MEASURES:
            self._measured.append(one)
            self._measures[named] = len(self._measured)
        return self._measures.get(named, 1)  # too many: as of a codec that nobody knows
