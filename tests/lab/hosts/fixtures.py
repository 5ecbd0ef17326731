"""Fixtures with which a test gets its hosts."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, Unpack

import pytest

from tests.lab import hosts
from tests.lab.hosts import Host, Options


class MakeHost(Protocol):
    def __call__(self, name: str, **options: Unpack[Options]) -> Host: ...


@pytest.fixture(scope="session")
def lab() -> Iterator[None]:
    """The network of the hosts; taken away at the end."""
    hosts.begin()
    yield
    hosts.drop_all()


@pytest.fixture
def make_host(lab: None) -> Iterator[MakeHost]:
    """Makes hosts that are dropped when the test ends."""
    with dropped_at_last(hosts.make) as make:
        yield make


@contextmanager
def dropped_at_last(make: MakeHost) -> Iterator[MakeHost]:
    made: list[Host] = []

    def one(name: str, **options: Unpack[Options]) -> Host:
        made.append(make(name, **options))
        return made[-1]

    yield one
    if made:
        with ThreadPoolExecutor(len(made)) as pool:
            list(pool.map(hosts.drop, made))
