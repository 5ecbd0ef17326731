"""What bots of several Pipecat versions say about themselves."""

import json
import time

from voicedeploy.call.rtvi import Transcript, client_ready, ping


def message(kind: str, **data: object) -> str:
    return json.dumps({"label": "rtvi-ai", "type": kind, "data": data})


def everything(transcript: Transcript) -> tuple[str | None, str | None]:
    later = time.monotonic() + 1
    return transcript.heard_between(0, later), transcript.said_between(0, later)


def test_a_bot_with_a_language_model() -> None:
    transcript = Transcript()
    transcript.take(message("user-transcription", text="what time", final=False))
    transcript.take(message("user-transcription", text="what time is it", final=True))
    transcript.take(message("bot-transcription", text="It is ten."))
    assert everything(transcript) == ("what time is it", "It is ten.")


def test_a_sentence_reported_before_and_after_it_was_spoken_is_said_once() -> None:
    transcript = Transcript()
    transcript.take(message("bot-output", text="Hello!", aggregated_by="sentence", segment_id=4, spoken=False))
    transcript.take(message("bot-output", text="Hello!", aggregated_by="word", spoken=True))
    transcript.take(message("bot-output", text="Hello!", aggregated_by="sentence", segment_id=4, spoken=True))
    transcript.take(message("bot-output", text="Hello!", aggregated_by="sentence", segment_id=5, spoken=True))
    assert everything(transcript) == (None, "Hello! Hello!")


def test_newer_bots_report_inputs() -> None:
    transcript = Transcript()
    transcript.take(message("user-input", text="hello", input_type="transcription"))
    assert everything(transcript) == ("hello", None)


def test_errors_and_speaking_are_kept() -> None:
    transcript = Transcript()
    transcript.take(message("bot-started-speaking"))
    assert transcript.speaking
    transcript.take(message("bot-stopped-speaking"))
    transcript.take(message("error", error="invalid API key", fatal=True))
    assert not transcript.speaking
    assert transcript.errors == ["invalid API key"]


def test_anything_else_is_passed_over() -> None:
    transcript = Transcript()
    for odd in ("not json", "[1]", "3", '{"label":"other","type":"error"}', '{"label":"rtvi-ai","data":7}', b"\xff"):
        transcript.take(odd)
    assert everything(transcript) == (None, None)


def test_only_the_window_of_a_turn_counts() -> None:
    transcript = Transcript()
    transcript.take(message("bot-transcription", text="before"))
    now = time.monotonic()
    assert transcript.said_between(now, now + 1) is None


def test_what_the_caller_sends_is_what_pipecat_expects() -> None:
    ready = json.loads(client_ready())
    assert (ready["label"], ready["type"]) == ("rtvi-ai", "client-ready")
    assert ready["data"]["version"].count(".") == 2
    assert ping().startswith("ping")
