"""What clients of platforms' APIs have in common; each platform's own errors and records stay with its provider."""

from voicedeploy.api.wire import PAUSES, Clock, Faults, Params, Wire, connection

__all__ = ["PAUSES", "Clock", "Faults", "Params", "Wire", "connection"]
