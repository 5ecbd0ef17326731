"""What Fly says: the fields that are needed, and tolerant of all others."""

import ipaddress
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from voicedeploy_providers.fly.api.config import Config

IpKind = Literal["v4", "shared_v4", "v6", "private_v6"]


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _as_ours(cls, data: Any) -> Any:
        """Nulls are as good as nothing, and some endpoints begin their keys with a capital."""
        if not isinstance(data, dict):
            return data
        return {k[:1].lower() + k[1:]: v for k, v in data.items() if v is not None}


class Organization(Record):
    slug: str = ""
    name: str = ""


class AppRecord(Record):
    name: str
    id: str = ""
    status: str = ""
    machine_count: int = 0
    organization: Organization = Organization()


class CheckResult(Record):
    name: str = ""
    status: str = ""
    """`passing`, `warning` or `critical`."""
    output: str = ""


class Event(Record):
    id: str = ""
    type: str = ""
    status: str = ""
    source: str = ""
    timestamp: int = 0
    """Milliseconds since 1970."""
    request: dict[str, Any] = Field(default_factory=dict, repr=False)

    @property
    def exit_code(self) -> int | None:
        """How the program ended, in an event of the type `exit`."""
        code = self.request.get("exit_event", {}).get("exit_code")
        return code if isinstance(code, int) else None


class ImageRef(Record):
    registry: str = ""
    repository: str = ""
    tag: str = ""
    digest: str = ""


class Machine(Record):
    id: str
    name: str = ""
    state: str = ""
    region: str = ""
    instance_id: str = ""
    """The version: a new one with each update."""
    private_ip: str = ""
    host_status: str = ""
    config: Config | None = None
    incomplete_config: Config | None = None
    """In place of `config` while Fly cannot reach the host: parts are missing, so it proves nothing is absent."""
    image_ref: ImageRef = ImageRef()
    checks: tuple[CheckResult, ...] = ()
    events: tuple[Event, ...] = ()
    created_at: str = ""
    updated_at: str = ""
    nonce: str = Field("", repr=False)
    """Of the lease it was created with; empty where the answer to that was lost."""

    @property
    def metadata(self) -> dict[str, str]:
        config = self.config or self.incomplete_config
        return config.metadata if config else {}

    @property
    def healthy(self) -> bool:
        """It runs, and each of its checks passes. Checks appear a moment after the start: see that there are some."""
        return self.state == "started" and all(check.status == "passing" for check in self.checks)


class Reached(Record):
    state: str = ""
    version: str = ""


class Executed(Record):
    exit_code: int = 0
    exit_signal: int = 0
    stdout: str = Field("", repr=False)
    stderr: str = Field("", repr=False)


class Lease(Record):
    nonce: str = Field(repr=False)
    expires_at: int = 0
    """Seconds since 1970."""
    owner: str = ""
    description: str = ""


class Secret(Record):
    name: str
    digest: str = ""
    created_at: str = ""
    updated_at: str = ""


class Ip(Record):
    ip: str
    region: str = ""
    shared: bool = False
    created_at: str = ""

    @property
    def kind(self) -> IpKind:
        address = ipaddress.ip_address(self.ip)
        if address.version == 4:
            return "shared_v4" if self.shared else "v4"
        return "private_v6" if address in _PRIVATE else "v6"


_PRIVATE = ipaddress.ip_network("fdaa::/16")


class Region(Record):
    code: str
    name: str = ""
    deprecated: bool = False
    requires_paid_plan: bool = False
    gateway_available: bool = False
    latitude: float = 0.0
    longitude: float = 0.0


class Regions(Record):
    nearest: str = ""
    regions: tuple[Region, ...] = ()


class Placement(Record):
    """So many machines that were asked for would fit there."""

    region: str
    count: int = 0
    concurrency: int = 0


class LogLine(Record):
    id: str = ""
    timestamp: str = ""
    message: str = ""
    level: str = ""
    instance: str = ""
    region: str = ""

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, data: Any) -> Any:
        return {**data, **data["attributes"]} if isinstance(data, dict) and "attributes" in data else data


class LogPage(Record):
    lines: tuple[LogLine, ...] = Field((), validation_alias=AliasChoices("data", "lines"))
    meta: dict[str, Any] = Field(default_factory=dict)

    @property
    def next_token(self) -> str:
        return str(self.meta.get("next_token") or "")


class Certificate(Record):
    hostname: str = ""
    configured: bool = False
    status: str = ""
