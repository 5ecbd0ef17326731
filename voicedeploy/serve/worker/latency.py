"""Voice to voice and the first word, as Pipecat's own observer measures them, without touching the bot."""

from collections.abc import Callable
from typing import Any

from .wire import Message

Report = Callable[[Message], None]


class Pipelines:
    """The bot's pipelines of this call, as Pipecat's setup hook shows them."""

    def __init__(self) -> None:
        self.workers: list[Any] = []
        self.report: Report = lambda message: None

    @property
    def over(self) -> bool:
        """Every pipeline that ran has finished."""
        return bool(self.workers) and all(worker.has_finished() for worker in self.workers)


pipelines = Pipelines()


def attach(worker: Any) -> None:
    """Called by the setup file in the call's process, once for each pipeline."""
    from pipecat.observers.user_bot_latency_observer import UserBotLatencyObserver

    pipelines.workers.append(worker)
    observer = UserBotLatencyObserver()
    measured: list[float] = []

    async def on_first_bot_speech_latency(_: Any, seconds: float) -> None:
        pipelines.report({"event": "first_word", "ms": _ms(seconds)})

    async def on_latency_measured(_: Any, seconds: float) -> None:
        measured.append(seconds)

    async def on_latency_breakdown(_: Any, breakdown: Any) -> None:
        # Comes after the figure it explains; a greeting has a breakdown and no figure.
        if not measured:
            return
        pipelines.report(
            {
                "event": "latency",
                "voice_to_voice_ms": _ms(measured.pop()),
                "segments": [{"key": c.key, "ms": _ms(c.duration_secs)} for c in breakdown.contributions],
            }
        )

    observer.add_event_handler("on_first_bot_speech_latency", on_first_bot_speech_latency)
    observer.add_event_handler("on_latency_measured", on_latency_measured)
    observer.add_event_handler("on_latency_breakdown", on_latency_breakdown)
    worker.add_observer(observer)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
