"""The media engine: blocks of packets in, stretches of in-order media out, everything counted.

A stream is an address that packets are sent to, and the formats its payload types mean. Any source of `PacketBlock`
feeds it. Audio is kept as received: by the byte where a codec has one a sample, by the packet where not.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from agent.media.arena import MOST_BYTES, Arena
from agent.media.block import PacketBlock
from agent.media.codecs import amr_packing, durations
from agent.media.columns import KEYS, LOW_BITS, NOISE, SIZE_BITS, WINDOW, Columns, Numbers
from agent.media.core import Choice, open_core
from agent.media.endpoint import KeyTable
from agent.media.g711 import SILENCE
from agent.media.keys import EVENT_BYTES, Keys
from agent.media.placing import BEHIND_SAMPLES, Arrivals, Placer
from agent.media.returns import RETURNING, Returns
from agent.media.rtp import Headers, parse
from agent.media.sources import Sources
from agent.media.tape import Bytes, Tape
from agent.media.timing import LAG_SAMPLES, NS_PER_SAMPLE
from agent.model.call import CLOCK_RATE, Codec, MediaFormat
from agent.model.media import Frames, KeyPress, StreamChunk, StreamCounts

SHORTEST, LONGEST = 40, 960
"""Samples of a packet: 5 to 120 ms. Anything else is no audio of ours."""
_SILENCE = SILENCE | {Codec.G722: 0xFF}
"""The byte of each codec of a byte a sample that sounds as nothing."""
MOST_FORMATS = 32
"""Payload types of one stream that are listened to."""
MOST_MEASURES = 200
NOWHERE = 1 << 60
"""Where a stream begins of which nothing has come."""
IDLE_MS = 250
SPARE_SAMPLES = CLOCK_RATE // 4
"""Of each buffer: for media that is not fetched in time."""
STAGGER = 8


class EngineFull(RuntimeError):
    """There are as many streams as the engine was made for."""


class Engine:
    """`max_streams` rows; `reorder_ms` is how long a missing packet is waited for; media in order is handed on every
    `flush_interval_s`, or waits up to `look_back_s` to be released. One thread at a time.

    Packets that are just the next of their streams are taken in by the `core` wanted (`agent.media.core`), others in
    numpy. Raises CoreMissing if "c" is wanted and is not to be had.
    """

    def __init__(
        self,
        max_streams: int,
        reorder_ms: int,
        flush_interval_s: float,
        look_back_s: float = 0.0,
        core: Choice = "auto",
    ) -> None:
        self._flush_samples = int(flush_interval_s * CLOCK_RATE)
        self._reorder_samples = reorder_ms * CLOCK_RATE // 1000
        self._idle_ns = max(reorder_ms, IDLE_MS) * 1_000_000
        held = max(2 * self._flush_samples, int(look_back_s * CLOCK_RATE))
        self._columns = Columns(max_streams, held + self._reorder_samples + SPARE_SAMPLES)
        self._placer = Placer(self._columns, self._reorder_samples, self._hand_on_all, self._hand_on_ordered, self._use)
        self._tape, self._arena = Tape(self._columns), Arena(self._columns)
        self._keys = Keys(self._columns)
        self._sources = Sources(self._columns)
        self._returns = Returns(self._columns, self._placer.timing)
        self._row_of = KeyTable()
        self._core = open_core(core, self._columns, self._placer.timing, self._row_of)
        self._free = list(range(max_streams - 1, -1, -1))
        self._names: dict[int, tuple[str, int]] = {}
        self._formats: dict[int, tuple[MediaFormat, ...]] = {}
        self._came: dict[int, dict[str, None]] = {}
        self._measures: dict[tuple[object, ...], int] = {}
        self._measured = [MediaFormat(0, Codec.OTHER)]
        self._ready: list[StreamChunk] = []
        self._pressed: list[KeyPress] = []
        self.stray = 0
        """Packets to addresses that no stream has."""

    @property
    def core(self) -> str:
        """What takes in packets that are just the next of their streams: "c" or "numpy"."""
        return "c" if self._core else "numpy"

    def add(
        self,
        address: int,
        call_id: str,
        stream: int,
        formats: Sequence[MediaFormat],
        origin_ns: int,
        *,
        announced: int = 0,
        since_ns: int = 0,
    ) -> None:
        """Listen to `address` (see `agent.media.endpoint`) for a stream of a call whose media origin is `origin_ns`, in
        any of its `formats`, of which the first audio is expected first.

        `announced` is the address it is said to come from, 0 when nothing was said; what arrived before `since_ns` is
        none of its packets. Times are monotonic. Raises EngineFull, and ValueError when the address has a stream.
        """
        if not self._free:
            raise EngineFull(f"no room for more than {self._columns.rows} streams")
        self._row_of.add(address, self._free[-1])
        row = self._free.pop()
        c = self._columns
        for part in (c, self._placer.timing, self._keys):
            part.clear(row)
        c.active[row], c.origin_ns[row] = True, origin_ns
        c.want[row] = self._flush_samples * (1 + row % STAGGER) // STAGGER  # first chunks do not come due all at once
        self._names[row] = (call_id, stream)
        self._came[row] = {}
        self._placer.ssrcs[row] = []
        self._sources.begin(row, address, announced, since_ns, origin_ns)
        self._announce(row, tuple(formats))

    def change(self, address: int, formats: Sequence[MediaFormat], announced: int = 0) -> list[StreamChunk]:
        """From now on the stream is of these formats. Returns what was received before. Raises LookupError."""
        row = self._row_of.get(address)
        self._settle(row)
        self._columns.announced[row] = announced
        if tuple(formats) == self._formats[row]:
            return []
        self._hand_on_all(row)
        rate = int(self._columns.rate[row])
        self._announce(row, tuple(formats))
        if self._columns.rate[row] != rate:
            self._placer.timing.lagging[row] = True  # another clock: the next packet is where its arrival says
        return self._take_ready()

    def heard(self, address: int) -> tuple[int, int]:
        """The SSRC and the arrival of the last packet of a stream; 0 and 0 before the first. Raises LookupError."""
        row = self._row_of.get(address)
        return int(self._columns.ssrc[row]), int(self._columns.last_ns[row])

    def heard_until(self, address: int) -> int:
        """The position after the last sample that has come, in the future if its sender hurries. Raises LookupError."""
        return int(self._columns.end[self._row_of.get(address)])

    def knows(self, destination: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of these addresses have a stream."""
        known: npt.NDArray[np.bool_] = self._row_of.find(destination) >= 0
        return known

    def rename(self, address: int, stream: int) -> list[StreamChunk]:
        """What comes to `address` from now on is another stream of the call: the same packets, another party's voice.
        Returns what was received before; counts go on. Raises LookupError."""
        row = self._row_of.get(address)
        self._settle(row)
        self._hand_on_all(row)
        self._names[row] = (self._names[row][0], stream)
        self._columns.begun[row], self._columns.low[row] = False, NOWHERE
        return self._take_ready()

    def finish(self, address: int) -> list[StreamChunk]:
        """All media of the stream not handed on yet. Raises LookupError."""
        row = self._row_of.get(address)
        self._settle(row)
        self._hand_on_all(row)
        return self._take_ready()

    def remove(self, address: int, *, for_good: bool = True) -> StreamCounts:
        """End the stream and return what was counted; what was not handed on is let go. Unless it is `for_good`, its
        sender may go on in a stream that is added later. Raises LookupError."""
        row = self._row_of.get(address)
        self._returns.forget(row)
        self._sources.end(row, address, remember=for_good)
        counts = self._counts(row)
        self._columns.active[row] = False
        self._row_of.remove(address)
        del self._names[row], self._formats[row], self._came[row], self._placer.ssrcs[row]
        self._free.append(row)
        return counts

    def process(self, block: PacketBlock, *, settled: bool = False) -> None:
        """Take in a block. `settled`: streams that come back in it do so where their timestamps say."""
        if self._core and not len(block := self._core.place(block)):
            return
        c = self._columns
        row = self._row_of.find(block.destination)
        h = parse(block)
        own = h.valid & (row >= 0)
        kind, samples = self._measure(block, h, row, own)
        audio = own & (kind > 0) & (kind < NOISE) & (samples >= SHORTEST) & (samples <= LONGEST)
        mute = own & ~audio & (~c.locked[row] | (h.ssrc == c.ssrc[row]))
        chosen = audio | mute
        if (stale := self._sources.stale(row, h.ssrc, h.timestamp, block.arrival_ns)) is not None:
            stale &= own
            c.stale += np.bincount(row[stale], minlength=c.rows)
            chosen &= ~stale
        told: list[int] = []
        counted = row >= 0
        if not settled:
            late, timely = self._late(h, row, chosen & audio, block)
            if late.any() or self._returns.holds_some:
                left, told = self._returns.hold(block, row, chosen, late, timely)
                counted &= left | ~chosen  # what waits is counted when it is taken in
                chosen = left
        strange = chosen & (block.source != c.source[row])
        if strange.any():
            admitted, waited = self._sources.admit(block, row, strange & audio)
            for held in waited:
                self.process(held)
            chosen &= ~strange | admitted | (mute & (block.source == c.source[row]))
        if not audio.all():
            foreign = counted & ~audio & ~(mute & (kind >= NOISE))
            if stale is not None:
                foreign &= ~stale
            self.stray += int(np.count_nonzero(row < 0))
            c.foreign += np.bincount(row[foreign], minlength=c.rows)
        silent = mute.any()
        if silent:
            samples = np.where(mute, 0, samples)
        arrivals = Arrivals(
            row, h.ssrc, h.sequence, h.timestamp, h.start, h.size, samples, kind, mute, block.arrival_ns
        )
        self._placer.place(arrivals if chosen.all() else arrivals.take(chosen), block.memory)
        if silent:
            self._without_sound(block, h, row, kind, chosen & mute & c.locked[row] & (h.ssrc == c.ssrc[row]))
        for one in told:
            self._settle(one)

    def _late(
        self, h: Headers, row: Numbers, audio: npt.NDArray[np.bool_], block: PacketBlock
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which packets of audio come long after their place, and which come in time for it."""
        c, lagging = self._columns, self._placer.timing.lagging
        known = np.flatnonzero(audio & c.locked[row] & (h.ssrc == c.ssrc[row]))
        rows = row[known]
        transit = (block.arrival_ns[known] - c.origin_ns[rows]) // NS_PER_SAMPLE
        transit -= self._placer.position(rows, h.timestamp[known])
        late, timely = np.zeros(len(row), np.bool_), np.zeros(len(row), np.bool_)
        late[known] = (transit > LAG_SAMPLES) & (transit <= BEHIND_SAMPLES)
        late[known] &= ~lagging[rows] | (c.source[rows] == RETURNING)
        timely[known] = transit <= LAG_SAMPLES
        return late, timely

    def _settle(self, row: int) -> None:
        """Take in what waited of a stream that has come back."""
        if (held := self._returns.take(row)) is not None:
            self.process(held, settled=True)

    def _measure(
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

    def _without_sound(
        self, block: PacketBlock, h: Headers, row: Numbers, kind: Numbers, chosen: npt.NDArray[np.bool_]
    ) -> None:
        """Comfort noise is counted, keys pressed are told."""
        c = self._columns
        c.noise += np.bincount(row[chosen & (kind == NOISE)], minlength=c.rows)
        told = np.flatnonzero(chosen & (kind == KEYS) & (h.size >= EVENT_BYTES))
        if len(told):
            for one, event, position in self._keys.note(
                block, h.start[told], row[told], h.timestamp[told], block.arrival_ns[told]
            ):
                self._pressed.append(KeyPress(*self._names[one], event, position))

    def take_keys(self) -> list[KeyPress]:
        """The keys pressed since the last call of this."""
        pressed, self._pressed = self._pressed, []
        return pressed

    def flush(self, now_ns: int) -> list[StreamChunk]:
        """Chunks of the streams that have enough in-order media, or had no packet for a while (`now_ns` monotonic).
        Streams whose media waits to be released have none, unless a packet found their buffer full."""
        c = self._columns
        for row in self._returns.overdue(now_ns):
            self._settle(row)
        free = np.flatnonzero(c.active & ~c.waits)
        held, idle = c.end[free] - c.start[free], now_ns - c.last_ns[free] > self._idle_ns
        due = (held > 0) & ((held >= c.want[free]) | idle)
        for row, ended in zip(free[due].tolist(), idle[due].tolist(), strict=True):
            if ended:
                self._hand_on_all(row)
            else:
                self._hand_on_ordered(row)
            c.want[row] = self._flush_samples
        return self._take_ready()

    def release(
        self, addresses: Sequence[int], since: Sequence[int], before: Sequence[int], now_ns: int, holdback_samples: int
    ) -> Iterator[tuple[int, int, Codec, int, Bytes, int]]:
        """Of each of these streams what lies before position `before` and is older than the holdback: the number of the
        stream in `addresses`, its stream, codec, position, media (a byte a sample) and lost samples. The media may be
        the buffer itself, which falls silent when the next is asked for; so all must be.

        All that the buffer holds must lie at or after `since`. Then it waits there from now on until it is released;
        of all other streams it is handed on by `flush` as it comes, which has to be asked first: a full buffer is
        handed on as well. Raises LookupError.
        """
        c = self._columns
        row = np.array(self._row_of.rows(addresses), np.int64)
        beyond_window = (c.packet[row] > 0) & (c.packet[row] * WINDOW < c.room)  # what came could not be told any more
        c.waits[row] = waits = ~c.framed[row] & ~beyond_window & (c.start[row] >= since)
        complete = np.where(now_ns - c.last_ns[row] > self._idle_ns, c.end[row], c.end[row] - self._reorder_samples)
        start = np.where(c.begun[row], c.start[row], np.maximum(c.start[row], c.low[row]))
        old = (now_ns - c.origin_ns[row]) // NS_PER_SAMPLE - holdback_samples
        until = np.minimum(np.minimum(before, old), complete)
        due = waits & (until > start)
        number, row, start, until = np.flatnonzero(due), row[due], start[due], until[due]
        placed = self._placed(row, start, until)
        lost = np.maximum(until - start - placed, 0)
        for one in row[~c.told[row]].tolist():
            self._note_format(one)
        c.start[row], c.begun[row] = until, True
        c.covered[row] = np.maximum(c.covered[row] - placed, 0)
        lists = (column.tolist() for column in (number, row, start, until, lost, c.current[row], c.silence[row]))
        for which, one, begin, end, missing, kind, silence in zip(*lists, strict=True):
            pieces = self._tape.pieces(one, begin, end)
            media = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
            yield which, self._names[one][1], self._formats[one][kind - 1].codec, begin, media, missing
            for piece in pieces:
                piece.fill(silence)

    def _placed(self, row: Numbers, start: Numbers, until: Numbers) -> Numbers:
        """How many samples of each row from `start`, where its media begins, to `until` came in packets."""
        c = self._columns
        placed = until - start
        torn = np.flatnonzero(c.covered[row] != c.end[row] - start)
        if len(torn):
            where = c.where[row[torn]] * c.seen[row[torn]]
            end = where >> SIZE_BITS
            begin = np.maximum(end - (where & LOW_BITS), start[torn, None])
            placed[torn] = np.maximum(np.minimum(end, until[torn, None]) - begin, 0).sum(axis=1)
        return placed

    def hand_on(self, address: int) -> list[StreamChunk]:
        """What a stream has in order, wherever it waited. Raises LookupError."""
        row = self._row_of.get(address)
        self._columns.waits[row] = False
        if self._columns.end[row] > self._columns.start[row]:
            self._hand_on_ordered(row)
        return self._take_ready()

    def counts(self, address: int) -> StreamCounts:
        """What was counted so far for a stream. Raises LookupError."""
        return self._counts(self._row_of.get(address))

    # ---- handing on

    def _hand_on_all(self, row: int) -> None:
        """Everything placed; what is missing before the end is given up."""
        c = self._columns
        self._emit(row, int(c.end[row]), int(c.covered[row]), int(c.high[row]) + 1)
        c.base[row], c.accounted[row] = c.high[row] + 1, 0

    def _hand_on_ordered(self, row: int) -> None:
        """What is in order, beyond a gap if what came after it came so much later that it is given up."""
        c = self._columns
        base, high = int(c.base[row]), int(c.high[row])
        if c.accounted[row] == high - base + 1:
            self._hand_on_all(row)
            return
        places = np.arange(max(base, high - WINDOW + 1), high + 1)
        present = c.seen[row, places & (WINDOW - 1)]
        where = np.where(present, c.where[row, places & (WINDOW - 1)], 0)
        ends = where >> SIZE_BITS
        old = np.flatnonzero(ends * present > 0)
        old = old[ends[old] <= c.end[row] - self._reorder_samples]
        given_up = int(old[-1]) + 1 if len(old) else 0
        gaps = np.flatnonzero(~present[given_up:])
        count = given_up + int(gaps[0]) if len(gaps) else len(present)
        if not count:
            return
        until = int(ends[:count].max())
        left = np.minimum(where & LOW_BITS, np.maximum(ends - c.start[row], 0))  # the rest has been released
        self._emit(row, until, int(left[:count].sum()), int(places[0]) + count)
        c.base[row] = places[0] + count
        c.accounted[row] = int(np.count_nonzero(present[count:]))

    def _emit(self, row: int, until: int, covered: int, before: int) -> None:
        """Hand on the buffer up to position `until`, of packets those of sequence numbers less than `before`."""
        c = self._columns
        start = int(c.start[row])
        if until <= start:
            return
        if not c.begun[row]:
            start = min(until, max(start, int(c.low[row])))
        if c.framed[row]:
            self._emit_packets(row, start, until, before)
        else:
            self._emit_bytes(row, start, until, covered)
        self._note_format(row)
        c.start[row], c.begun[row] = until, True
        c.covered[row] = max(0, int(c.covered[row]) - covered)

    def _emit_bytes(self, row: int, start: int, until: int, covered: int) -> None:
        pieces = self._tape.pieces(row, start, until)
        payload = np.concatenate(pieces)
        for piece in pieces:
            piece.fill(self._columns.silence[row])
        lost = max(0, len(payload) - covered)
        self._ready.append(StreamChunk(*self._names[row], self._in_use(row).codec, start, payload, lost))

    def _emit_packets(self, row: int, start: int, until: int, before: int) -> None:
        c = self._columns
        ext = np.arange(max(int(c.base[row]), int(c.high[row]) - WINDOW + 1), int(c.high[row]) + 1)
        ext = ext[c.seen[row, ext & (WINDOW - 1)] & (c.where[row, ext & (WINDOW - 1)] > 0)]
        position, samples, size, payload = self._arena.take(row, ext[ext < before])
        self._arena.keep_only(row, ext[ext >= before])
        if not len(position):
            return
        position = np.clip(position, start, until)  # packets may overlap, by rounding or by timestamps that go back
        samples = np.minimum(samples, until - position)
        frames = Frames(self._in_use(row), until - start, position - start, samples, size)
        lost = max(0, frames.samples - int(samples.sum()))
        self._ready.append(StreamChunk(*self._names[row], frames.format.codec, start, payload, lost, frames))

    def _take_ready(self) -> list[StreamChunk]:
        ready, self._ready = self._ready, []
        return ready

    # ---- rows

    def _announce(self, row: int, formats: tuple[MediaFormat, ...]) -> None:
        """Listen to these formats; the first audio of them is in use until another comes."""
        c = self._columns
        self._formats[row] = formats
        c.kinds[row] = 0
        audio = 0
        for number, one in enumerate(formats[:MOST_FORMATS], 1):
            if one.codec.is_audio:
                c.kinds[row, one.payload_type] = number | self._measure_of(one) << 8
                audio = audio or number
            else:
                c.kinds[row, one.payload_type] = KEYS if one.codec is Codec.TELEPHONE_EVENT else NOISE
        self._use(row, audio)

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

    def _use(self, row: int, kind: int) -> None:
        """Make the format of this number the one in use; the buffer must have been handed on."""
        c = self._columns
        c.current[row], c.told[row] = kind, False
        one = self._in_use(row) if kind else MediaFormat(0, Codec.PCMA)
        c.rate[row], c.framed[row] = one.clock_rate, not one.codec.byte_a_sample
        c.silence[row] = _SILENCE.get(one.codec, 0)
        c.fill[row] = 0
        c.buffer[row] = c.silence[row]

    def _note_format(self, row: int) -> None:
        """Media of the format in use has been handed on."""
        self._came[row][self._in_use(row).name or self._in_use(row).codec.value] = None
        self._columns.told[row] = True

    def _in_use(self, row: int) -> MediaFormat:
        return self._formats[row][int(self._columns.current[row]) - 1]

    def _counts(self, row: int) -> StreamCounts:
        c, timing = self._columns, self._placer.timing
        return StreamCounts(
            received=int(c.received[row]),
            lost=c.lost(row),
            late=int(c.late[row]),
            duplicates=int(c.duplicates[row]),
            reordered=int(c.reordered[row]),
            foreign=int(c.foreign[row]),
            stale=int(c.stale[row]),
            jumps=int(c.jumps[row]),
            ssrcs=tuple(self._placer.ssrcs.get(row, ())),
            keys=int(self._keys.count[row]),
            noise=int(c.noise[row]),
            jitter_ms=round(float(timing.jitter[row]) * 1000 / CLOCK_RATE, 2),
            jitter_max_ms=round(float(timing.jitter_max[row]) * 1000 / CLOCK_RATE, 2),
            drift_ppm=round(timing.drift_ppm(row), 1),
            packet_ms=float(c.packet[row]) * 1000 / CLOCK_RATE,
            formats=tuple(self._came.get(row, ())),
        )
