"""What Prometheus may ask."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST

# Pipecat's keys of a latency breakdown; another key from a process is counted as "other".
SEGMENTS = frozenset(
    {
        "endpointing_wait",
        "first_request",
        "transcription",
        "turn_detection",
        "llm_inference",
        "turn_completion",
        "llm_tool_call",
        "function_handler",
        "sentence_aggregation",
        "speech_synthesis",
        "output_transport",
        "awaiting_speakable_text",
        "pipeline",
    }
)
_VOICE = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_CALL = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0)


class Metrics:
    """One front's own registry: nothing global, so two fronts in one process do not meet."""

    def __init__(self, *, bot: str, release: str) -> None:
        self.registry = CollectorRegistry()
        Gauge(
            "voicedeploy_release_info", "The release that this front serves", ["bot", "release"], registry=self.registry
        ).labels(bot, release).set(1)
        self.slots = Gauge("voicedeploy_slots", "Calls that can run at once", registry=self.registry)
        self.busy = Gauge("voicedeploy_sessions_active", "Calls that hold a slot", registry=self.registry)
        self.warm = Gauge("voicedeploy_processes_warm", "Processes that wait ready for a call", registry=self.registry)
        self.on_hold = Gauge(
            "voicedeploy_callers_on_hold", "Callers on the phone who wait for a slot", registry=self.registry
        )
        self.draining = Gauge("voicedeploy_draining", "1 while no new calls are taken", registry=self.registry)
        self.started = Counter("voicedeploy_sessions_started", "Calls that got a slot", registry=self.registry)
        self.ended = Counter(
            "voicedeploy_sessions_ended", "Calls that gave it back", ["reason"], registry=self.registry
        )
        self.refused = Counter(
            "voicedeploy_requests_refused", "Requests refused, by error code", ["code"], registry=self.registry
        )
        self.duration = Histogram(
            "voicedeploy_session_duration_seconds",
            "From the slot taken to the slot free",
            buckets=_CALL,
            registry=self.registry,
        )
        self.offer = Histogram(
            "voicedeploy_offer_seconds",
            "From a call's first offer to its answer",
            buckets=_VOICE,
            registry=self.registry,
        )
        self.first_word = Histogram(
            "voicedeploy_first_word_seconds",
            "From client connected to the bot's first speech",
            buckets=_VOICE,
            registry=self.registry,
        )
        self.voice_to_voice = Histogram(
            "voicedeploy_voice_to_voice_seconds",
            "From the caller's last to the bot's first sound, as the bot measures it",
            buckets=_VOICE,
            registry=self.registry,
        )
        self.segment = Histogram(
            "voicedeploy_voice_to_voice_segment_seconds",
            "The parts of voice to voice",
            ["segment"],
            buckets=_VOICE,
            registry=self.registry,
        )
        self.cpu = Counter("voicedeploy_session_cpu_seconds", "CPU time of ended calls", registry=self.registry)
        self.zygote_deaths = Counter(
            "voicedeploy_zygote_deaths", "Ends of the process that calls are forked from", registry=self.registry
        )
        self.warm_deaths = Counter(
            "voicedeploy_warm_process_deaths", "Processes that ended before they had a call", registry=self.registry
        )
        self.log_dropped = Gauge(
            "voicedeploy_log_lines_dropped", "Log lines that could not be written", registry=self.registry
        )

    def text(self) -> bytes:
        return generate_latest(self.registry)
