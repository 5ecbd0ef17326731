"""What makes every answer later than it must be, with its price.

The prices are those of docs/performance.md, measured on two shared cores: read them as a size, not to the millisecond.
"""

import ast
from collections.abc import Iterator

from voicedeploy.lint.bot import Bot, Made
from voicedeploy.lint.fault import Fault
from voicedeploy.lint.flow import Flow
from voicedeploy.lint.rules.transports import wanted
from voicedeploy.lint.writing import replaced, with_keywords

_STT = "pipecat.services.stt_service.STTService"
_VAD = "pipecat.audio.vad.vad_analyzer.VADParams"
_SPEECH_TIMEOUT = "pipecat.turns.user_stop.speech_timeout_user_turn_stop_strategy.SpeechTimeoutUserTurnStopStrategy"
# Pipecat assumes 1.0 s where nobody says how long the last transcript takes, and has waited about a quarter of it when
# the end of speech is known.
_UNKNOWN_P99_MS = 750
_STOP_SECS = 0.2
_LONG_STOP_SECS = 0.5
_CHUNKS, _GOOD_CHUNKS = 4, 2
_SPEECH_TIMEOUT_SECS = 0.6


def latency(bot: Bot, flow: Flow) -> Iterator[Fault]:
    for made in bot.made:
        if flow.is_dead(made.module, made.call):
            continue
        if made.cls == _VAD:
            yield from _pause(bot, made)
        elif made.cls == _SPEECH_TIMEOUT:
            yield from _timeout(bot, made)
    yield from _transcripts(bot)
    yield from _packets(bot, wanted(bot, flow))


def _transcripts(bot: Bot) -> Iterator[Fault]:
    """Speech-to-text that neither marks its last transcript nor says how long it takes."""
    told = {one.derived for one in bot.made if one.derived and "ttfs_p99_latency" in one.given.found}
    told |= {one.derived for one in bot.made if one.derived and not one.given.complete}
    seen: set[object] = set()
    for one in bot.made:
        heard = bot.pipecat.speech_to_text(one.cls)
        if heard is None and one.cls != _STT:
            continue
        if heard and (heard["p99"] is not None or heard["final"] or heard["turns"]):
            continue
        if one.derived and (one.derived in told or one.derived in seen or _finishes(bot, one.derived)):
            continue
        if not one.given.complete or "ttfs_p99_latency" in one.given.found:
            continue
        seen.add(one.derived)
        where = one.derived or one.call
        yield Fault(
            "VD166", "warning", one.module.path, where.lineno,
            "speech-to-text has no `ttfs_p99_latency`: "
            f"every answer waits {_UNKNOWN_P99_MS / 1000} s longer than it must",
            "measure how long the last transcript takes and give it: ttfs_p99_latency=0.35", "", _UNKNOWN_P99_MS,
        )  # fmt: skip


def _finishes(bot: Bot, cls: ast.ClassDef) -> bool:
    """Whether a class of the project marks final transcripts, sets the time itself or decides on turns."""
    names = {"finalized", "confirm_finalize", "supports_ttfs", "_ttfs_p99_latency", "service_metadata_frame"}
    for node in ast.walk(cls):
        if isinstance(node, ast.Attribute) and node.attr in names:
            return True
        if isinstance(node, ast.keyword) and node.arg in names:
            return True
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in names:
            return True
    return False


def _pause(bot: Bot, made: Made) -> Iterator[Fault]:
    given = made.given.found.get("stop_secs")
    secs = bot.constant(given.module, given.value) if given else None
    if given and isinstance(secs, int | float) and secs >= _LONG_STOP_SECS:
        cost = round((secs - _STOP_SECS) * 1000)
        yield Fault(
            "VD167", "warning", given.module.path, given.at.lineno,
            f"{secs} s of silence end the caller's speech: "
            f"every answer waits {cost / 1000:g} s longer than with {_STOP_SECS}",
            f"stop_secs={_STOP_SECS}; whether a sentence is over is for Smart Turn to say",
            given.module.patch(replaced(given.module, given.value, str(_STOP_SECS)))
            if isinstance(given.value, ast.Constant) else "", cost,
        )  # fmt: skip


def _timeout(bot: Bot, made: Made) -> Iterator[Fault]:
    given = made.given.found.get("user_speech_timeout")
    secs = bot.constant(given.module, given.value) if given else _SPEECH_TIMEOUT_SECS
    if made.given.complete and isinstance(secs, int | float) and secs >= _SPEECH_TIMEOUT_SECS:
        yield Fault(
            "VD167", "warning", made.module.path, made.call.lineno,
            f"a timeout ends turns: every answer waits {secs} s after the caller's last word",
            "the default, TurnAnalyzerUserTurnStopStrategy with LocalSmartTurnAnalyzerV3, takes 0.1 to 0.2 s",
            "", round(secs * 1000),
        )  # fmt: skip


def _packets(bot: Bot, params: list[Made]) -> Iterator[Fault]:
    """Sound leaves in packets of 40 ms where nothing else is said."""
    seen = set()
    for made in params:
        out = made.given.found.get("audio_out_enabled")
        if out is None or not made.given.complete or made.call in seen:
            continue
        seen.add(made.call)
        given = made.given.found.get("audio_out_10ms_chunks")
        chunks = bot.constant(given.module, given.value) if given else _CHUNKS
        if isinstance(chunks, int) and chunks >= _CHUNKS:
            edit = replaced(given.module, given.value, str(_GOOD_CHUNKS)) if given else (
                with_keywords(made.module, made.call, f"audio_out_10ms_chunks={_GOOD_CHUNKS}"))  # fmt: skip
            direct = given is None or isinstance(given.value, ast.Constant)
            module = given.module if given else made.module
            cost = (chunks - _GOOD_CHUNKS) * 10
            yield Fault(
                "VD167", "warning", module.path, given.at.lineno if given else made.call.lineno,
                f"sound leaves in packets of {chunks * 10} ms: every answer is {cost} ms later than with 20",
                f"audio_out_10ms_chunks={_GOOD_CHUNKS}", module.patch(edit) if edit and direct else "", cost,
            )  # fmt: skip
