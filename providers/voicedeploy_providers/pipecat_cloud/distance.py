"""How far away the platform's regions are from this machine."""

import time
from collections.abc import Iterable, Mapping
from statistics import median
from threading import Thread

from voicedeploy.reach import door, handshakes_ms
from voicedeploy_providers.pipecat_cloud.api import Places

NEARER_MS = 50.0
"""By more than this another region is faster before it is worth a word."""
_PATIENCE_S = 1.5
_TIMES = 5


def round_trips(places: Places, regions: Iterable[str]) -> dict[str, float | None]:
    """Milliseconds to each, the median of a few; None for one that does not answer in time. Nothing is begun there."""
    found: dict[str, float | None] = dict.fromkeys(regions)

    def measure(region: str) -> None:
        host, port = door(places.regional(region))
        if took := handshakes_ms(host, port, times=_TIMES, patience_s=_PATIENCE_S):
            found[region] = median(took)

    # Not by an executor, which would wait for a name that is looked up for minutes.
    threads = [Thread(target=measure, args=(region,), daemon=True) for region in found]
    until = time.monotonic() + _PATIENCE_S
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return dict(found)


def nearer(region: str, trips: Mapping[str, float | None]) -> str:
    """The nearest one, if it is faster by more than `NEARER_MS`; "" where none is, or `region` itself is silent."""
    answered = {code: ms for code, ms in trips.items() if ms is not None}
    nearest = min(answered, key=lambda code: answered[code], default="")
    return nearest if region in answered and answered[region] - answered[nearest] > NEARER_MS else ""
