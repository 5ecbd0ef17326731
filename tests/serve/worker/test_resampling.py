"""Sound of a telephone at the bot's rate and back: the same sound, and soon."""

import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from voicedeploy.serve.worker.resampling import CARRIERS, Resampler

RATES = [(8000, 16000), (24000, 8000), (16000, 8000), (22050, 8000), (8000, 24000), (48000, 8000)]


def tone(rate: int, hertz: float, seconds: float = 1.0) -> NDArray[np.int16]:
    wave = 8000 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)
    return np.asarray(np.rint(wave), np.int16)


async def through(sound: NDArray[np.int16], rates: tuple[int, int], *pieces: int) -> NDArray[np.int16]:
    """In pieces of so many samples, over and over."""
    resampler, out, at = Resampler(), b"", 0
    for piece in itertools.cycle(pieces):
        if at >= sound.size:
            return np.frombuffer(out, np.int16)
        out += await resampler.resample(sound[at : at + piece].tobytes(), *rates)
        at += piece
    raise AssertionError("no pieces")


def level(sound: NDArray[np.int16], rate: int, hertz: float) -> float:
    """In dB of the tone that `tone` makes, within the middle of the sound."""
    middle = sound[sound.size // 4 : -sound.size // 4].astype(float)
    wave = np.exp(-2j * np.pi * hertz * np.arange(middle.size) / rate) * np.hanning(middle.size)
    return float(20 * np.log10(abs(middle @ wave) / (8000 * np.hanning(middle.size).sum() / 2) + 1e-9))


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("hertz", [200, 1000, 3400])
async def test_a_tone_stays_as_loud_as_it_is(rates: tuple[int, int], hertz: int) -> None:
    out = await through(tone(rates[0], hertz), rates, rates[0] // 50)
    assert level(out, rates[1], hertz) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("hertz", [500, 3000, 3400])
async def test_no_other_tone_is_added_by_more_samples(hertz: int) -> None:
    out = await through(tone(8000, hertz), (8000, 16000), 160)
    assert level(out, 16000, 8000 - hertz) < -65


@pytest.mark.parametrize("hertz", [4600, 6000, 9000, 11000])
async def test_what_a_telephone_cannot_carry_is_not_folded_into_it(hertz: int) -> None:
    out = await through(tone(24000, hertz), (24000, 8000), 480)
    assert level(out, 8000, abs(hertz - 8000)) < -65


@pytest.mark.parametrize("rates", RATES)
async def test_pieces_make_no_difference(rates: tuple[int, int]) -> None:
    sound = tone(rates[0], 700, 0.3)
    whole = await through(sound, rates, sound.size)
    for pieces in ((rates[0] // 50,), (1,), (7, 500, 3), (rates[0] // 100, 1)):
        assert np.array_equal(await through(sound, rates, *pieces), whole)


@pytest.mark.parametrize("rates", RATES)
async def test_as_much_comes_out_as_went_in_and_four_milliseconds_later(rates: tuple[int, int]) -> None:
    knock = np.zeros(rates[0] // 5, np.int16)
    knock[rates[0] // 10] = 20000
    resampler = Resampler()
    out = np.frombuffer(await resampler.resample(knock.tobytes(), *rates), np.int16)
    assert out.size == pytest.approx(rates[1] / 5, abs=1)
    heard_at = int(np.abs(out.astype(int)).argmax()) / rates[1]
    assert heard_at == pytest.approx(0.1 + 0.004, abs=0.0005)


async def test_each_piece_of_a_call_has_its_length_from_the_first_on() -> None:
    heard, said = Resampler(), Resampler()
    for _ in range(5):
        assert len(await heard.resample(bytes(2 * 160), 8000, 16000)) == 2 * 320
        assert len(await said.resample(bytes(2 * 480), 24000, 8000)) == 2 * 160


async def test_what_is_kept_back_can_be_had_and_forgotten() -> None:
    resampler = Resampler()
    assert await resampler.flush() == b""
    loud = np.full(160, 9000, np.int16).tobytes()
    await resampler.resample(loud, 8000, 16000)
    rest = np.frombuffer(await resampler.flush(), np.int16)
    assert rest.size == 64 and rest[:50].max() > 8000
    assert not np.frombuffer(await resampler.resample(bytes(320), 8000, 16000), np.int16).any()
    await resampler.resample(loud, 8000, 16000)
    await resampler.reset()
    assert not np.frombuffer(await resampler.resample(bytes(320), 8000, 16000), np.int16).any()


async def test_the_rates_may_change_and_need_not_differ() -> None:
    resampler = Resampler()
    assert await resampler.resample(b"abcd", 8000, 8000) == b"abcd"
    assert len(await resampler.resample(bytes(320), 8000, 16000)) == 640
    assert len(await resampler.resample(bytes(960), 24000, 8000)) == 320


async def test_too_loud_is_as_loud_as_can_be() -> None:
    square = np.where(np.arange(800) % 8 < 4, 32767, -32768).astype(np.int16)
    out = np.frombuffer(await Resampler().resample(square.tobytes(), 8000, 16000), np.int16)
    assert (out.max(), out.min()) == (32767, -32768)


IN_PIPECAT = """
import asyncio, base64, importlib, json, sys
from pipecat.audio.resamplers.base_audio_resampler import BaseAudioResampler
from pipecat.frames.frames import OutputAudioRawFrame, StartFrame
from voicedeploy.serve.worker.resampling import CARRIERS, Resampler, answer_at_once
carriers = {name: importlib.import_module(f"pipecat.serializers.{name}") for name in CARRIERS}
Twilio = carriers["twilio"].TwilioFrameSerializer

async def lengths():
    phone = Twilio("MZ1", params=Twilio.InputParams(auto_hang_up=False))
    await phone.setup(StartFrame(audio_in_sample_rate=16000, audio_out_sample_rate=24000))
    packet = {"event": "media", "media": {"payload": base64.b64encode(bytes(160)).decode()}}
    heard = await phone.deserialize(json.dumps(packet))
    said = await phone.serialize(OutputAudioRawFrame(bytes(2 * 480), 24000, 1))
    return [len(sound) for sound in (heard.audio if heard else b"", media(said))]

def media(message):
    return base64.b64decode(json.loads(message)["media"]["payload"]) if message else b""

def ours():
    return [name for name, module in carriers.items() if getattr(module, "create_stream_resampler", None) is Resampler]
"""


def in_pipecat(*lines: str) -> tuple[list[object], str]:
    """What a Python that knows Pipecat prints, each a JSON value, and what the worker logged."""
    done = subprocess.run(
        [sys.executable, "-c", "\n".join((IN_PIPECAT, *lines))], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_bot_hears_and_is_heard_from_the_first_packet_on() -> None:
    said, log = in_pipecat(
        "print(asyncio.run(lengths()))",
        "answer_at_once()",
        "print(json.dumps(ours()), asyncio.run(lengths()), sep='\\n')",
    )
    assert said == [[0, 0], [*CARRIERS], [2 * 320, 160]]
    assert "late" not in log


def test_a_pipecat_that_has_changed_is_left_as_it_is() -> None:
    said, log = in_pipecat(
        "del carriers['telnyx'].create_stream_resampler",
        "BaseAudioResampler.__abstractmethods__ = frozenset({'resample', 'other'})",
        "answer_at_once()",
        "print(json.dumps(ours()))",
        "BaseAudioResampler.__abstractmethods__ = frozenset({'resample'})",
        "answer_at_once()",
        "print(json.dumps(ours()))",
    )
    assert said == [[], ["twilio", "plivo", "exotel"]]
    assert "telephones are heard late" in log and "telnyx is heard late" in log
