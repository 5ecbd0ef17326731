"""A stub of the package `daily` (daily-python), whose native code needs Daily's servers: what of it Pipecat's transport
uses for sound, by the signatures of its `__init__.pyi`. No media and no network.

The room is the folder `$DAILY_STUB`: who is in `people`, a name a line, is in the room; what the bot does is added to
`said`; `refused` lets nobody in; when `closed` is there, the call ends as when the room is deleted. Like the original,
it calls back from a thread of its own, which starts with the first client.
"""

import os
import threading
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["DAILY_STUB"])
ME = "00000000-0000-4000-8000-000000000000"


def say(text: str) -> None:
    with (FOLDER / "said").open("a") as file:
        file.write(text + "\n")


class EventHandler:
    def __new__(cls, *args: Any, **options: Any) -> Any:
        return super().__new__(cls)


class LogLevel(Enum):
    Off = 0
    Error = 1
    Warn = 2
    Info = 3
    Debug = 4
    Trace = 5


class Daily:
    @staticmethod
    def init(worker_threads: int = 2, log_level: LogLevel = LogLevel.Off) -> None:
        return


class CallClient:
    def __init__(self, event_handler: Any = None) -> None:
        self._events = event_handler
        self._people: dict[str, dict[str, Any]] = {}
        self._in = False

    def set_user_name(self, name: str) -> None:
        return

    def update_subscription_profiles(self, settings: Any, completion: Any = None) -> None:
        return

    def update_subscriptions(self, participant_settings: Any = None, profile_settings: Any = None, **how: Any) -> None:
        how["completion"](None)

    def send_app_message(self, message: Any, participant: Any = None, completion: Any = None, **how: Any) -> None:
        completion(None)

    def set_audio_renderer(self, participant_id: str, callback: Any, **options: Any) -> None:
        assert participant_id in self._people

    def participants(self) -> dict[str, Any]:
        return {"local": {"id": ME}, **self._people}

    def join(self, meeting_url: str, meeting_token: str, client_settings: Any, completion: Callable[..., None]) -> None:
        say(f"join {meeting_url} {meeting_token}")
        if (FOLDER / "refused").exists():
            completion(None, "the token is not for this room")
            return
        self._in = True
        local = {"id": ME, "info": {"isLocal": True}}
        completion({"participants": {"local": local}, "meetingSession": {"id": "m"}}, None)
        threading.Thread(target=self._watch, name="daily-stub", daemon=True).start()

    def leave(self, completion: Callable[..., None]) -> None:
        say("leave")
        self._in = False
        completion(None)

    def release(self) -> None:
        self._in = False

    def _watch(self) -> None:
        while self._in:
            try:
                names = (FOLDER / "people").read_text().split()
            except FileNotFoundError:
                names = []
            for name in names:
                if name not in self._people:
                    self._people[name] = {"id": name, "info": {"isLocal": False, "userName": name}}
                    self._events.on_participant_joined(self._people[name])
            for name in list(self._people):
                if name not in names:
                    self._events.on_participant_left(self._people.pop(name), "leftCall")
            if (FOLDER / "closed").exists():
                self._in = False
                self._events.on_call_state_updated("left")
            time.sleep(0.02)


class CustomAudioSource:
    """Takes sound in its own time, as the original does."""

    def __init__(self, sample_rate: int, channels: int, auto_silence: bool = True) -> None:
        self._bytes_per_second = sample_rate * channels * 2
        self._sounded = False

    def write_frames(self, frames: bytes, completion: Callable[[int], None]) -> None:
        if not self._sounded and any(frames):
            self._sounded = True
            say("sound")
        seconds = len(frames) / self._bytes_per_second
        threading.Timer(seconds, completion, [len(frames) // 2]).start()


class CustomAudioTrack:
    def __init__(self, audio_source: CustomAudioSource) -> None:
        self.id = "audio"


class CustomVideoSource: ...


class CustomVideoTrack: ...


class VirtualSpeakerDevice: ...


class AudioData: ...


class VideoFrame: ...
