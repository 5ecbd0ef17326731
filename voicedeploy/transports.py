"""What each transport brings with it: packages, secrets, what the caller has to do, who bills the minutes.

The facts are rows of `voicedeploy/data/transports.toml`.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from voicedeploy.network import ServesHttp, Transport, need
from voicedeploy.spec import Spec

DATA = Path(__file__).parent / "data" / "transports.toml"

_Names = Annotated[tuple[str, ...], Field(strict=False)]


class About(BaseModel):
    """A row of the table; the keys are explained at the top of `data/transports.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    extra: str
    also: _Names = ()
    packages: Annotated[_Names, Field(min_length=1)]
    secrets: _Names = ()
    excludes: _Names = ()
    caller: str
    heard: bool = True
    bills: str = ""
    price: str = ""
    price_where: str = ""
    price_date: Annotated[str, Field(pattern=r"^$|^20\d\d-\d\d-\d\d$")] = ""
    regions: _Names = ()
    regions_where: str = ""
    regions_date: Annotated[str, Field(pattern=r"^$|^20\d\d-\d\d-\d\d$")] = ""

    @model_validator(mode="after")
    def _dated(self) -> Self:
        if bool(self.price) != bool(self.price_where and self.price_date):
            raise ValueError("a price needs `price_where` and `price_date`")
        if bool(self.regions) != bool(self.regions_where and self.regions_date):
            raise ValueError("regions need `regions_where` and `regions_date`")
        return self

    @property
    def requirement(self) -> str:
        """Such as `pipecat-ai[webrtc]`."""
        return f"pipecat-ai[{self.extra}]"

    @property
    def cost(self) -> str:
        """A phrase about the minutes of a call, beside what the host costs."""
        if not self.bills:
            return "nothing but the host"
        if not self.price:
            return f"{self.bills} bills the minutes; the price is not known here"
        return f"{self.bills} bills the minutes: {self.price} ({self.price_where}, {self.price_date})"


@cache
def _rows() -> Mapping[Transport, About]:
    rows = TypeAdapter(dict[Transport, About]).validate_python(tomllib.loads(DATA.read_text("utf-8")))
    if missing := set(Transport) - set(rows):
        raise ValueError(f"{DATA.name}: no row for {', '.join(sorted(missing))}")
    return rows


def about(transport: Transport) -> About:
    return _rows()[transport]


def carried(transport: Transport) -> bool:
    """Whether a phone carrier calls, from the internet."""
    return isinstance(need(transport), ServesHttp) and bool(about(transport).bills)


def proved(transport: str) -> str:
    """What a call of ours can see of a bot: `heard`, or `joined` where its sound goes to a room."""
    return "heard" if all(about(kind).heard for kind in Transport if kind == transport) else "joined"


def secrets(spec: Spec) -> tuple[str, ...]:
    """The names that must have a value: of the bot and of relays, then what the transport needs beside them."""
    kind = spec.transport.kind
    if spec.upstream:
        # Of the transport's, only what a carrier's webhook is known by: the rest is the platform's business.
        return tuple(dict.fromkeys((spec.upstream.key, *(about(kind).secrets if carried(kind) else ()))))
    return tuple(dict.fromkeys((*spec.secrets, *about(kind).secrets)))
