"""Sample rates that a bot cannot hear well at, or at all."""

from collections.abc import Iterator

from voicedeploy.lint.bot import Bot, Given, Made
from voicedeploy.lint.fault import Fault
from voicedeploy.lint.writing import without

_SILERO = "pipecat.audio.vad.silero.SileroVADAnalyzer"
_PIPELINE = "pipecat.pipeline.worker.PipelineParams"
_FASTAPI = "pipecat.transports.websocket.fastapi.FastAPIWebsocketParams"
_HEARD = (8000, 16000)
_DEFAULT = 16000


def rates(bot: Bot) -> Iterator[Fault]:
    """Silero takes 8 and 16 kHz and raises for anything else. Whatever the phone sends is resampled to the pipeline's
    rate, 16 kHz by default, so nothing is won by 8 kHz."""
    ours = _pipeline(bot)
    silero = any(made.cls == _SILERO for made in bot.made)
    for made in bot.made:
        pipeline = made.cls == _PIPELINE
        given = made.given.found.get("audio_in_sample_rate")
        if given is None or not (pipeline or bot.pipecat.is_transport_params(made.cls)):
            continue
        rate = bot.constant(given.module, given.value)
        if pipeline and silero and isinstance(rate, int) and rate not in _HEARD:
            yield Fault(
                "VD164", "error", given.module.path, given.at.lineno,
                f"Silero takes 8000 or 16000 Hz, not {rate}: every call fails",
                "take `audio_in_sample_rate` out: the default is 16000",
                _out(made, given),
            )  # fmt: skip
        elif not pipeline and isinstance(rate, int) and rate not in (8000, ours) and made.cls != _FASTAPI and ours:
            yield Fault(
                "VD165", "warning", given.module.path, given.at.lineno,
                f"the transport listens at {rate} Hz, voice detection at the pipeline's {ours}: it mishears",
                "take `audio_in_sample_rate` out of the transport's parameters", _out(made, given),
            )  # fmt: skip
        elif rate == 8000:
            yield Fault(
                "VD165", "warning", given.module.path, given.at.lineno,
                "sound is listened to at 8 kHz: voice and turn detection are worse at it, also for phone calls",
                "take `audio_in_sample_rate` out: the serializer resamples to 16 kHz", _out(made, given),
            )  # fmt: skip


def _pipeline(bot: Bot) -> int | None:
    """The rate that voice detection takes sound to have, whatever the sound says; None where it cannot be told."""
    made = [one for one in bot.made if one.cls == _PIPELINE]
    if not all(one.given.complete for one in made):
        return None
    given = [one.given.found.get("audio_in_sample_rate") for one in made]
    rates = {bot.constant(one.module, one.value) if one else _DEFAULT for one in given} or {_DEFAULT}
    rate = rates.pop() if len(rates) == 1 else None
    return rate if isinstance(rate, int) else None


def _out(made: Made, given: Given) -> str:
    edit = without(made, given)
    return given.module.patch(edit) if edit else ""
