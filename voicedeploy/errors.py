"""Every error a user sees.

::

    VoiceDeployError          exit code
    ├── UsageError            2    the command line cannot be meant like this
    │   └── SpecError         2    voicedeploy.toml: key: message
    ├── NotReady              3    refused; nothing was changed
    │   └── Locked            3    somebody else is deploying
    ├── StepFailed            4    a step failed; something may have changed
    └── NotHeard              4    everything was done, and the call proved that the bot is not heard

A command exits with 0 only if the end state it states was observed; 130 means interrupted.
"""

import json
from typing import ClassVar, Self


class VoiceDeployError(Exception):
    """An error with its remedy.

    `hint` is what to type or change next; `code` is the stable word of `--json`.
    """

    exit_code: ClassVar[int] = 4
    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(VoiceDeployError):
    exit_code = 2
    code = "usage"


class SpecError(UsageError):
    """A fault in voicedeploy.toml; the message reads `file: key: what is wrong`."""

    code = "spec"


class NotReady(VoiceDeployError):
    exit_code = 3
    code = "not-ready"


class Locked(NotReady):
    code = "locked"

    @classmethod
    def by(cls, record: str) -> Self:
        """`record`: the JSON that the holder wrote into the lock: `who`, `pid`, `why` and `since`."""
        try:
            said = json.loads(record)
            who = f"{said['who']} (process {said['pid']}), `{said['why']}` since {said['since']}"
        except (ValueError, KeyError, TypeError):
            who = "another voicedeploy"
        return cls(f"somebody else is at it: {who}", hint="wait for it to end, then try again")


class StepFailed(VoiceDeployError):
    """A step of a plan failed. `log` holds the bot's last log lines, oldest first, where there are any."""

    exit_code = 4
    code = "step-failed"

    def __init__(self, message: str, *, hint: str = "", log: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.log = log


class NotHeard(VoiceDeployError):
    exit_code = 4
    code = "not-heard"
