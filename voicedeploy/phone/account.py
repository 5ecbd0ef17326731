"""What is asked of a carrier's account. Only numbers that it has already; nothing here buys one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Owned:
    """A number of the account. `number` has the form +14155550100. `target` is the carrier's id of what the calls go
    to, "" where that is nothing or `url`, an address of the number's own."""

    number: str
    id: str
    target: str
    url: str = ""


@dataclass(frozen=True)
class Application:
    """What a carrier asks about a call; several numbers can lead to one."""

    id: str
    name: str
    url: str


class Account(Protocol):
    """Every method asks the carrier; it raises `NotReady` where nothing was changed, else `StepFailed`."""

    def __init__(self, keys: Mapping[str, str], base_url: str = "") -> None: ...

    def owned(self, number: str = "") -> list[Owned]:
        """Those numbers, or this one; none if the account does not have it."""
        ...

    def application(self, id: str) -> Application | None:
        """None: there is none of that id, or it is something else, such as a trunk."""
        ...

    def create(self, name: str, url: str) -> str:
        """A new application; its id. At `url` the carrier asks, and at `url`/status it says when a call is over."""
        ...

    def update(self, application: Application, url: str) -> None: ...

    def delete(self, id: str) -> None: ...

    def point(self, owned: Owned, target: str) -> None:
        """Makes the number lead there; "" is nowhere, or to the number's own address."""
        ...
