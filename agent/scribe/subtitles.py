"""A transcript as subtitles: WebVTT (`agent.scribe.text`), or SubRip (.srt), which older players and editors read.

SubRip has no specification; this is the form of the program it is named after: number, times with a comma, lines,
an empty line. It knows no comments and no voices, so each cue begins with its speaker.
"""

from collections.abc import Callable, Sequence

from agent.model.purpose import Subtitles
from agent.model.text import Transcript
from agent.scribe.paused import shifted
from agent.scribe.text import Heading, Voice, speaker, to_webvtt

_TAGS = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})
"""Players take <…> and {…} for formatting."""


def to_srt(heading: Heading, voices: Sequence[Voice], transcript: Transcript) -> bytes:
    """The transcript as SubRip in UTF-8, one cue a segment, at the times of the audio."""
    cues = []
    for number, s in enumerate(transcript.segments, 1):
        start = shifted(s.start_s, heading.cuts)
        end = max(shifted(s.end_s, heading.cuts), start + 0.001)
        voice = speaker(voices, s.channel, s.start_s)
        name = f"{voice.role} {voice.ref}" if voice else "other"
        cues.append(f"{number}\n{_clock(start)} --> {_clock(end)}\n{_plain(name)}: {_plain(s.text)}\n")
    return "\n".join(cues).encode()


AS: dict[Subtitles, Callable[[Heading, Sequence[Voice], Transcript], bytes]] = {
    Subtitles.VTT: to_webvtt,
    Subtitles.SRT: to_srt,
}
"""How each form is written."""


def _plain(text: str) -> str:
    return " ".join(text.translate(_TAGS).split())


def _clock(seconds: float) -> str:
    ms = max(0, round(seconds * 1000))
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"
