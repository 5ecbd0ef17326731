"""What the caller says: turns of speech, encoded once and spoken in many calls."""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from voicedeploy.call.audio import Speech, encode, read_speech

DEMO = (
    ("hello.wav", "hello who are you?"),
    ("abilities.wav", "what can you do?"),
    ("time.wav", "what time is it?"),
    ("goodbye.wav", "goodbye"),
)


@dataclass(frozen=True)
class Turn:
    """`text` is what is said, for the report; empty where nobody knows."""

    text: str
    speech: Speech


@dataclass(frozen=True)
class Script:
    turns: tuple[Turn, ...]

    @classmethod
    def demo(cls, turns: int = len(DEMO)) -> "Script":
        """The shipped sentences that the offline demo bot understands: the first `turns` of four."""
        return cls(tuple(_shipped(name, text) for name, text in DEMO[:turns]))

    @classmethod
    def from_files(cls, paths: Sequence[Path]) -> "Script":
        """One turn for each sound file. Raises UsageError for one that is unreadable or silent."""
        return cls(tuple(Turn("", encode(read_speech(path))) for path in paths))

    def to_json(self) -> list[dict[str, Any]]:
        return [
            {
                "text": turn.text,
                "audible": [turn.speech.last_audible, turn.speech.first_audible],
                "packets": [b64encode(packet).decode() for packet in turn.speech.packets],
            }
            for turn in self.turns
        ]

    @classmethod
    def from_json(cls, turns: Sequence[Mapping[str, Any]]) -> "Script":
        return cls(
            tuple(
                Turn(turn["text"], Speech(tuple(map(b64decode, turn["packets"])), *turn["audible"])) for turn in turns
            )
        )


@lru_cache
def _shipped(name: str, text: str) -> Turn:
    with as_file(files("voicedeploy.call") / "speech" / name) as path:
        return Turn(text, encode(read_speech(path)))
