"""How often one address may do something, in bounded memory."""

import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable

WINDOW_S = 60.0
ADDRESSES_AT_MOST = 4096


class Rate:
    """At most `limit` per address in any 60 seconds; 0 is no limit.

    Of more than `ADDRESSES_AT_MOST` addresses the one longest unseen is forgotten. IPv6 counts by /64, which is
    what one customer has.
    """

    def __init__(self, limit: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Seconds until `address` may again; 0 is now."""
        times = self._times(address)
        if not self._limit or times is None or len(times) < self._limit:
            return 0
        return max(0.0, times[0] + WINDOW_S - self._clock())

    def count(self, address: str) -> None:
        if not self._limit:
            return
        bucket = _bucket(address)
        times = self._seen.setdefault(bucket, deque(maxlen=self._limit))
        times.append(self._clock())
        self._seen.move_to_end(bucket)
        if len(self._seen) > ADDRESSES_AT_MOST:
            self._seen.popitem(last=False)

    def __len__(self) -> int:
        return len(self._seen)

    def _times(self, address: str) -> deque[float] | None:
        times = self._seen.get(_bucket(address))
        while times and times[0] <= self._clock() - WINDOW_S:
            times.popleft()
        return times


def _bucket(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
