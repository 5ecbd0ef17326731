"""Sound files in, Opus packets out."""

import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from voicedeploy.call.audio import AUDIBLE, FRAME_S, OpusDecoder, dbfs, encode, peak_of, read_speech, silence
from voicedeploy.call.script import DEMO, Script
from voicedeploy.errors import UsageError


def write(path: Path, samples: NDArray[np.int16], *, rate: int, channels: int = 1, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.tobytes() if width == 2 else ((samples >> 8) + 128).astype(np.uint8).tobytes())
    return path


def tone(seconds: float, *, rate: int, level: float = 0.25) -> NDArray[np.int16]:
    return (level * 32767 * np.sin(2 * np.pi * 300 * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("width", [1, 2])
def test_any_wav_becomes_48_khz_mono(tmp_path: Path, rate: int, channels: int, width: int) -> None:
    samples = np.repeat(tone(0.5, rate=rate), channels)
    read = read_speech(write(tmp_path / "a.wav", samples, rate=rate, channels=channels, width=width))
    assert read.size == pytest.approx(24_000, abs=100)
    assert peak_of(read) == pytest.approx(0.25 * 32767, rel=0.1)


def test_a_silent_file_is_refused_with_its_level(tmp_path: Path) -> None:
    path = write(tmp_path / "quiet.wav", tone(0.5, rate=16000, level=0.001), rate=16000)
    with pytest.raises(UsageError, match=r"quiet\.wav: is silent: its loudest sample is -6\d dBFS"):
        read_speech(path)


def test_files_that_hold_no_speech_say_why(tmp_path: Path) -> None:
    text = tmp_path / "notes.wav"
    text.write_text("these are words, but not spoken ones")
    empty = write(tmp_path / "empty.wav", np.zeros(0, np.int16), rate=16000)
    for path, why in ((text, "is not a sound file"), (empty, "empty"), (tmp_path / "none.wav", "no such file")):
        with pytest.raises(UsageError, match=why) as error:
            read_speech(path)
        assert path.name in error.value.message
        assert error.value.hint


def test_a_file_longer_than_two_minutes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="longer than 120 s"):
        read_speech(write(tmp_path / "long.wav", tone(121, rate=8000), rate=8000))


def test_the_last_audible_packet_is_where_the_sound_ends() -> None:
    sound = tone(0.5, rate=48000)
    speech = encode(np.concatenate([sound, np.zeros(48_000, np.int16)]))
    # The codec looks 6.5 ms ahead and rings for a frame.
    assert speech.last_audible * FRAME_S == pytest.approx(0.5, abs=0.045)
    assert len(speech.packets) * FRAME_S == pytest.approx(1.6, abs=0.05)


def test_silence_is_silent_also_behind_speech() -> None:
    decoder = OpusDecoder()
    for packet in Script.demo(1).turns[0].speech.packets:
        decoder.peak(packet)
    assert max(decoder.peak(silence()) for _ in range(20)) < AUDIBLE


def test_damaged_packets_count_as_silence() -> None:
    assert OpusDecoder().peak(b"\xff\xff\xff") < AUDIBLE


def test_the_threshold_is_minus_45_dbfs() -> None:
    assert dbfs(AUDIBLE) == pytest.approx(-45, abs=0.05)
    assert dbfs(0) == -99


def test_the_shipped_turns_are_short_and_survive_the_way_to_another_process() -> None:
    script = Script.demo()
    assert [turn.text for turn in script.turns] == [text for _, text in DEMO]
    assert all(0.8 < turn.speech.seconds < 2.5 for turn in script.turns)
    assert Script.from_json(script.to_json()) == script


def test_each_file_is_a_turn(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(0.5, rate=22050), rate=22050)
    assert len(Script.from_files([path, path]).turns) == 2
