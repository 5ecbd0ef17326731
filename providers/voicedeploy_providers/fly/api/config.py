"""A machine's configuration, to write and to read. What is not named here is kept as it came."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, data: Any) -> Any:
        return {k: v for k, v in data.items() if v is not None} if isinstance(data, dict) else data

    def wire(self) -> dict[str, Any]:
        """As it is sent: only what was set."""
        return self.model_dump(mode="json", exclude_unset=True)


def _word(value: Any) -> Any:
    """Fly answers with booleans where it takes words."""
    return {True: "stop", False: "off"}[value] if isinstance(value, bool) else value


def _duration(value: Any) -> Any:
    """Some answers have nanoseconds."""
    return f"{value / 1e9:g}s" if isinstance(value, int) and not isinstance(value, bool) else value


Autostop = Annotated[Literal["off", "stop", "suspend"], BeforeValidator(_word)]
Duration = Annotated[str, BeforeValidator(_duration)]


class Guest(_Part):
    cpu_kind: str = "shared"
    cpus: int = 1
    memory_mb: int = 256


class Restart(_Part):
    policy: str = "on-failure"
    max_retries: int = 0


class StopConfig(_Part):
    """Fly kills after `timeout`, at most 300 s."""

    signal: str = "SIGTERM"
    timeout: Duration = "5s"


class Init(_Part):
    exec: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()


class File(_Part):
    """`raw_value` is base64; so is the secret that `secret_name` names."""

    guest_path: str
    raw_value: str = Field("", repr=False)
    secret_name: str = ""
    mode: int = 0o644


class HttpOptions(_Part):
    idle_timeout: int = 60
    """Seconds without a byte after which the proxy ends a connection."""


class Port(_Part):
    port: int = 0
    handlers: tuple[str, ...] = ()
    force_https: bool = False
    http_options: HttpOptions | None = None
    start_port: int = 0
    end_port: int = 0


class Concurrency(_Part):
    type: str = "connections"
    soft_limit: int = 0
    hard_limit: int = 0


class ServiceCheck(_Part):
    type: str = "http"
    port: int = 0
    method: str = "GET"
    path: str = "/"
    interval: Duration = "15s"
    timeout: Duration = "2s"
    grace_period: Duration = "1s"


class Check(ServiceCheck):
    """A check of the machine, beside those of its services."""

    kind: str = ""


class Service(_Part):
    protocol: str
    internal_port: int
    autostop: Autostop = "off"
    autostart: bool = False
    min_machines_running: int = 0
    concurrency: Concurrency | None = None
    ports: tuple[Port, ...] = ()
    checks: tuple[ServiceCheck, ...] = ()


class Config(_Part):
    """An update replaces all of it. `env` can be read by whoever has a token: keys of services go to the secrets."""

    image: str
    guest: Guest | None = None
    env: dict[str, str] = Field(default_factory=dict, repr=False)
    restart: Restart | None = None
    stop_config: StopConfig | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    services: tuple[Service, ...] = ()
    checks: dict[str, Check] = Field(default_factory=dict)
    init: Init | None = None
    files: tuple[File, ...] = ()
    auto_destroy: bool = False
