"""What is loaded once, before any fork, and then shared by every call."""

import gc
import importlib
import sys
from typing import Any

from .log import log

# Imported by the first call otherwise, in its first word's time.
_MODULES = (
    "pipecat.runner.types",
    "pipecat.runner.utils",
    "pipecat.observers.user_bot_latency_observer",
    "pipecat.workers.runner",
)


def import_ahead() -> None:
    for name in _MODULES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            log(f"not loaded ahead: {name}: {error}")
    if service := sys.modules.get("pipecat.services.llm_service"):
        try:
            _load_adapters(service.LLMService)
        except Exception as error:
            log(f"not loaded ahead: the adapters of language models: {error!r}")
    if "pipecat.services.openai.base_llm" in sys.modules:
        try:
            _load_openai_client()
        except Exception as error:
            log(f"not loaded ahead: OpenAI's client: {error!r}")


def _load_adapters(service: Any) -> None:
    """Imports what an LLM service imports when it is made: for most, OpenAI's types, 0.4 to 0.8 s.

    Pipecat does that within `bot`, so on a call's loop, which then answers no ICE check either.
    """
    service._resolve_adapter_class()
    for kind in service.__subclasses__():
        _load_adapters(kind)


def _load_openai_client() -> None:
    """Makes a client and drops it: what it imports at its first use (0.1 s) is then there."""
    import openai

    _ = openai.AsyncOpenAI(api_key="none").chat.completions


def share_models() -> None:
    """Creates the sessions of the models in Pipecat's wheel, and hands the same ones to whoever asks later.

    An onnxruntime session survives a fork, and `run` keeps no state in it; the analyzers' own state (and the
    threads they start when they are used) stays with each analyzer.
    """
    try:
        import onnxruntime  # type: ignore[import-untyped]
    except ImportError:
        return
    base = onnxruntime.InferenceSession
    shared: dict[Any, Any] = {}

    class _ByModel(type(base)):  # type: ignore[misc]
        def __call__(cls, path_or_bytes: Any, *args: Any, **kwargs: Any) -> Any:
            if cls is not InferenceSession:
                return super().__call__(path_or_bytes, *args, **kwargs)
            key = _key(path_or_bytes, *args, **kwargs)
            if key is None:
                return base(path_or_bytes, *args, **kwargs)
            if key not in shared:
                shared[key] = base(path_or_bytes, *args, **kwargs)
            return shared[key]

    class InferenceSession(base, metaclass=_ByModel):  # type: ignore[misc, valid-type]
        pass

    onnxruntime.InferenceSession = InferenceSession
    for name, create in (("Silero VAD", _silero), ("Smart Turn", _smart_turn)):
        try:
            create()
        except Exception as error:
            log(f"{name} is not loaded ahead: {error!r}")


def _silero() -> None:
    # Only for a bot that uses it; Smart Turn is Pipecat's default and imported when a pipeline is made.
    if "pipecat.audio.vad.silero" in sys.modules:
        from pipecat.audio.vad.silero import SileroVADAnalyzer

        SileroVADAnalyzer()


def _smart_turn() -> None:
    if "pipecat.turns.user_turn_strategies" in sys.modules:
        from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3

        LocalSmartTurnAnalyzerV3()


def _key(path_or_bytes: Any, sess_options: Any = None, providers: Any = None, *rest: Any, **options: Any) -> Any | None:
    """What makes two sessions the same, or None for one that is nobody else's business."""
    path = str(path_or_bytes)
    if isinstance(path_or_bytes, bytes) or "/pipecat/audio/" not in path.replace("\\", "/") or rest or options:
        return None
    return path, _values(sess_options), tuple(providers) if providers else None


def _values(sess_options: Any) -> tuple[tuple[str, str], ...]:
    named = ((name, getattr(sess_options, name)) for name in dir(sess_options) if not name.startswith("_"))
    return tuple((name, repr(value)) for name, value in named if not callable(value))


def settle() -> None:
    """Moves all that lives now out of the collector's sight: a collection in a child would copy its pages."""
    gc.collect()
    gc.freeze()
