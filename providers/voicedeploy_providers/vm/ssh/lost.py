"""The connection went in the middle of something."""

from typing import ClassVar

from voicedeploy.errors import StepFailed


class ConnectionLost(StepFailed):
    """The connection was lost, and could not be had again; the message says during what."""

    code: ClassVar[str] = "connection-lost"


class Dropped(Exception):
    """The connection is gone. It may be worth another try; the user sees `ConnectionLost` if not."""
