"""The front's configuration: one TOML file, written by a provider, read once at start."""

import ipaddress
import os
import re
import socket
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyAddress,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from voicedeploy.errors import UsageError
from voicedeploy.serve.pool import Warm, warm

# sun_path holds 108 bytes on Linux and 104 on macOS, a closing zero included.
LONGEST_SOCKET_PATH = 103


class ConfigError(UsageError):
    """A fault in the front's configuration; the message reads `file: key: what is wrong`."""

    code = "config"


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder", Path())
    # Not resolve(): a virtual environment's interpreter is a link and must stay one.
    return Path(folder, path.expanduser()).absolute()


Located = Annotated[Path, AfterValidator(_beside_the_file)]


def _none_if_empty(value: object) -> object:
    # TOML has no null; a template writes "".
    return None if value == "" else value


Optionally = BeforeValidator(_none_if_empty)


def _networks(values: list[str]) -> list[str]:
    for value in values:
        ipaddress.ip_network(value, strict=False)
    return values


Networks = Annotated[list[str], AfterValidator(_networks)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Bot(Section):
    name: str
    release: str
    project: Located
    entry: str = "bot.py"
    python: Located
    env_file: Annotated[Located | None, Optionally] = None
    """One JSON object of names and values, mode 0600. A file that does not exist holds none."""
    secrets_from_env: bool = False
    """In place of `env_file`: the secrets are variables of the front's own environment, as platforms hand them over."""
    exit_on_failure: bool = False
    """Ends the front with exit code 4 if the bot fails before it ever loaded, `FAILURE_LINGER_S` later, so
    that a poller can still read why from `/readyz`. Otherwise the front stays, says why, and tries again."""


class Listen(Section):
    host: str = "127.0.0.1"
    port: int = Field(default=7860, ge=0, le=65535)
    port_from_env: bool = False
    """PORT in the environment is obeyed, as by what else runs on such platforms."""
    fleet: Literal["", "fly"] = ""
    """Whose proxy stands before this front and others like it: see `fleet.py`."""
    socket: Located
    hold: bool = False
    """Serve only on the unix socket until `POST /open` arrives there."""
    live_file: Annotated[Located | None, Optionally] = None
    """Names the release that is live. If that is this one, `hold` does not hold: it comes back by itself."""

    def held(self, release: str) -> bool:
        if self.live_file is None or not self.hold:
            return self.hold
        try:
            return self.live_file.read_text("utf-8").strip() != release
        except OSError:
            return True

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(str(self.socket).encode()) > LONGEST_SOCKET_PATH:
            raise ValueError(
                f"socket: a unix socket's path has at most {LONGEST_SOCKET_PATH} bytes; choose a shorter folder"
            )
        return self


class IceServer(Section):
    """`secret` names one of `bot.env_file`: coturn's, or with `cloudflare`, the ID of a TURN key, the API token.

    `secret_file` holds coturn's itself. `callers_only`: the bot is not told of it, being beside it.
    """

    urls: str | list[str] = []
    username: str | None = None
    credential: str | None = Field(default=None, repr=False)
    secret: str | None = None
    cloudflare: str | None = None
    secret_file: Located | None = None
    callers_only: bool = False


class Transport(Section):
    kind: str = "webrtc"
    ice_servers: list[IceServer] = []
    relay_only: bool = False
    """Bot and client name no address but their relay's."""
    cloudflare_api: str = "https://rtc.live.cloudflare.com"
    region: str = ""
    """Where the rooms are; "" leaves it to the service."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of secrets that are the front's, not the bot's."""
        return tuple(server.secret for server in self.ice_servers if server.secret)


def _ports(value: object) -> tuple[int, ...]:
    if not isinstance(value, str):
        raise ValueError('write a range like "20000-20015", or "" for any port')
    if not value.strip():
        return ()
    first, _, last = value.partition("-")
    try:
        low, high = int(first), int(last or first)
    except ValueError:
        raise ValueError(f'{value!r} is no range; write it like "20000-20015"') from None
    if not 1024 <= low <= high <= 65535:
        raise ValueError(f"{value!r}: ports go from 1024 to 65535, the lower one first")
    return tuple(range(low, high + 1))


class Media(Section):
    udp_ports: Annotated[tuple[int, ...], BeforeValidator(_ports)] = ()
    public_ip: Annotated[IPvAnyAddress | None, Optionally] = None
    public_ip_env: str = ""
    """The variable that holds it, in place of `public_ip`: where it is not known before the front's place is made."""
    nets: Networks = []
    bind: str = ""
    """The one address that media is bound to, or a name of it: some platforms carry UDP to no other."""
    tcp_only: bool = False
    """No UDP gets out: relays are asked over TLS or TCP first, and STUN servers not at all."""


class SessionLimits(Section):
    cpu: float = Field(default=0.5, gt=0)
    """Cores of one call. Up to 1, the call's process is pinned to one core; above, it is left free."""
    memory: int = Field(default=1 << 30, ge=16 << 20)
    """Bytes of private memory of one call's process."""
    max_duration_s: float = Field(default=1800, gt=0)
    isolation: Literal["fork", "spawn"] = "fork"
    idle_s: float = Field(default=600, gt=0)
    """How long nobody may say a word, for bots that take `runner_args.pipeline_idle_timeout_secs`."""
    offer_timeout_s: float = Field(default=30, gt=0)
    connect_timeout_s: float = Field(default=30, gt=0)
    join_timeout_s: float = Field(default=120, gt=0)
    """From the moment the bot is in its room until somebody has come: a person reads, and lets the microphone in."""
    leave_s: float = Field(default=30, gt=0)
    """How long a bot may take to leave after its client has left: time to write its notes."""
    grace_s: float = Field(default=5, gt=0)
    """From the polite end to SIGKILL."""


def _warm(value: object) -> Warm:
    return value if isinstance(value, Warm) else warm(value)


class Pool(Section):
    warm: Annotated[Warm, BeforeValidator(_warm)] = Warm(percent=20)
    min: int = Field(default=1, ge=0)
    max: int = Field(default=4, ge=1, le=1000)
    refill_delay_s: float = Field(default=1, ge=0)
    """A process born in the first second of a call takes the core from the call's first word."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min: {self.min} is more than max, which is {self.max}")
        return self


class Access(Section):
    key_file: Annotated[Located | None, Optionally] = None
    key_env: str = ""
    """The variable that holds the key, in place of `key_file`; the bot does not see it."""
    open_on_loopback: bool = False
    public: bool = False
    """Lets anybody mint a start token at `POST /token`; rate limit and origins still hold."""
    origins: list[str] = []
    starts_per_minute: int = Field(default=10, ge=0)
    """Per address; 0 is no limit. Holders of the key are not limited."""
    public_url: str = ""
    """The front's address as its callers see it, where that is known; signatures and the addresses it hands out are
    made of it."""
    trusted_proxies: Networks = []
    """Only from these are `X-Forwarded-…` headers believed."""


class Phone(Section):
    """What a caller hears before the bot answers, in the carrier's voice."""

    greeting: str = ""
    """Before every call, while the bot is got ready."""
    hold: str = "All lines are busy. Please hold."
    sorry: str = "We are sorry, nobody can take your call now. Please call again later."
    language: str = "en-US"
    voice: str = ""
    """The carrier's name of it; "" is its default."""
    patience_s: float = Field(default=120, ge=0)
    """So long a caller is kept on hold."""


class LogFile(Section):
    file: Annotated[Located | None, Optionally] = None
    """None: standard error."""
    max_bytes: int = Field(default=20 << 20, ge=1024)


class Drain(Section):
    timeout_s: float | None = Field(default=None, gt=0)
    """None: as long as the longest call, `session.max_duration_s`."""


class Upstream(Section):
    """A platform on which the bots run. With `url` this front begins sessions there and has no process for a call."""

    name: str = ""
    """As `--provider` calls it."""
    url: str = ""
    """What `/start` and `/sessions/…` are under."""
    key: str = ""
    """Names the secret that lets a session be begun."""
    line: str = ""
    """The media socket that carriers are led to."""
    parameters: dict[str, str] = {}
    """What a carrier is told to say first on it."""


class FrontConfig(Section):
    bot: Bot
    upstream: Upstream = Upstream()
    listen: Listen
    transport: Transport = Transport()
    media: Media = Media()
    session: SessionLimits = SessionLimits()
    pool: Pool = Pool()
    access: Access
    phone: Phone = Phone()
    log: LogFile = LogFile()
    drain: Drain = Drain()
    peers: list[Located] = []
    """Sockets of older releases that may still have calls."""
    peers_folder: Annotated[Located | None, Optionally] = None
    """Each `*/front.sock` below is a peer too, looked for whenever one is needed."""

    @model_validator(mode="after")
    def _a_port_for_each_call(self) -> Self:
        ports = len(self.media.udp_ports)
        if ports and ports < self.pool.max:
            raise ValueError(
                f"media.udp_ports: {ports} ports for {self.pool.max} calls; widen the range or lower pool.max"
            )
        return self

    @property
    def drain_timeout_s(self) -> float:
        return self.drain.timeout_s or self.session.max_duration_s


def load(path: Path) -> FrontConfig:
    """Raises `ConfigError`, which names file, key and remedy."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}", hint="name the file that the provider wrote: voicedeploy serve FILE"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}", hint="correct the named line") from error
    try:
        config = FrontConfig.model_validate(data, context={"folder": path.parent})
    except ValidationError as error:
        raise _explained(path, error) from error
    config = _with_media(path, _as_told(config))
    (_look_upstream if config.upstream.url else _look)(path, config)
    return config


def _as_told(config: FrontConfig) -> FrontConfig:
    port = os.environ.get("PORT", "") if config.listen.port_from_env else ""
    if not port.isdecimal() or not int(port) < 65536:
        return config
    return config.model_copy(update={"listen": config.listen.model_copy(update={"port": int(port)})})


def _with_media(path: Path, config: FrontConfig) -> FrontConfig:
    """With addresses in place of the names that lead to them."""
    media, found = config.media, dict[str, object]()
    if media.public_ip_env:
        said = os.environ.get(media.public_ip_env, "")
        try:
            found["public_ip"] = ipaddress.ip_address(said)
        except ValueError:
            raise ConfigError(
                f"{path}: media.public_ip_env: {media.public_ip_env} holds {said!r}, which is no address",
                hint="`voicedeploy up` sets it",
            ) from None
    if media.bind:
        try:
            found["bind"] = socket.gethostbyname(media.bind)
        except OSError as error:
            raise ConfigError(
                f"{path}: media.bind: {media.bind} leads nowhere here ({error.strerror})",
                hint="name an address of this machine",
            ) from None
    return config.model_copy(update={"media": media.model_copy(update=found)}) if found else config


def _explained(path: Path, error: ValidationError) -> ConfigError:
    first: Any = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    said = str(first["msg"]).removeprefix("Value error, ")
    place = ": ".join(part for part in (str(path), key) if part)
    match first["type"]:
        case "missing":
            return ConfigError(f"{place}: is missing", hint=f"add `{key.rpartition('.')[2]}` to the file")
        case "extra_forbidden":
            return ConfigError(f"{place}: no such key", hint="remove it, or correct its spelling")
    return ConfigError(f"{place}: {said}", hint="correct the value and start again")


def _look(path: Path, config: FrontConfig) -> None:
    """Refuses what would fail later and less clearly."""
    bot = config.bot
    if not bot.project.is_dir():
        raise ConfigError(f"{path}: bot.project: {bot.project} is no folder", hint="put the bot's folder there")
    if not (bot.project / bot.entry).is_file():
        raise ConfigError(
            f"{path}: bot.entry: {bot.entry} is not in {bot.project}",
            hint="name the file that holds `async def bot(runner_args)`",
        )
    if not bot.python.is_file():
        raise ConfigError(
            f"{path}: bot.python: {bot.python} does not exist", hint="make the bot's environment: uv sync"
        )
    secrets = secrets_of(config)
    for name in config.transport.secrets:
        if not secrets.get(name):
            raise ConfigError(
                f"{path}: transport.ice_servers: the secret {name} is not set",
                hint=f"voicedeploy secrets set {name}, then voicedeploy up",
            )
    for server in config.transport.ice_servers:
        if server.secret_file:
            _key(path, "transport.ice_servers.secret_file", server.secret_file)
    room_secrets(config)


def _look_upstream(path: Path, config: FrontConfig) -> None:
    upstream = config.upstream
    if not secrets_of(config).get(upstream.key, "").strip():
        raise ConfigError(
            f"{path}: upstream.key: the secret {upstream.key} is not set",
            hint=f"export {upstream.key}=…"
            if config.bot.secrets_from_env
            else f"voicedeploy secrets set {upstream.key}, then voicedeploy up",
        )


# By these the front makes rooms; Pipecat's own runner reads the same.
ROOM_SECRETS = {
    "daily": ("DAILY_API_KEY",),
    "livekit": ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"),
}


# May be set beside them: another address of Daily's API.
DAILY_API_URL = "DAILY_API_URL"


def room_secrets(config: FrontConfig) -> dict[str, str]:
    """Raises `ConfigError` if one is missing, or an address is none."""
    kind, secrets = config.transport.kind, secrets_of(config)
    names = ROOM_SECRETS.get(kind, ())
    if missing := [name for name in names if not secrets.get(name, "").strip()]:
        raise ConfigError(
            f"{kind} makes no rooms without {', '.join(missing)}",
            hint=f"voicedeploy secrets set {' '.join(missing)}, then voicedeploy up",
        )
    found = {name: value.strip() for name in (*names, DAILY_API_URL) if (value := secrets.get(name))}
    for name, begin in (("LIVEKIT_URL", "wss://"), (DAILY_API_URL, "https://")):
        if name in found and not re.match(r"(wss?|https?)://[^/]", found[name]):
            raise ConfigError(
                f"{name} is not the address of a server", hint=f"voicedeploy secrets set {name}: it begins with {begin}"
            )
    return found


def _credential(file: Path) -> bool:
    """systemd keeps its credentials in a folder that only the service may enter; the mode shows an ACL's mask."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return bool(folder) and file.parent == Path(str(folder))


def secrets_of(config: FrontConfig) -> dict[str, str]:
    """Raises `ConfigError`, which never shows a value."""
    if config.bot.env_file:
        return read_secrets(config.bot.env_file)
    return dict(os.environ) if config.bot.secrets_from_env else {}


def read_secrets(file: Path) -> dict[str, str]:
    """Raises `ConfigError`, which never shows a value."""
    try:
        text = file.read_text(encoding="utf-8")
        mode = file.stat().st_mode
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {type(error).__name__}", hint="make it readable for the front") from error
    if mode & 0o077 and not _credential(file):
        raise ConfigError(f"{file}: the bot's secrets can be read by others", hint=f"chmod 600 {file}")
    try:
        return TypeAdapter(dict[str, str]).validate_json(text or "{}", strict=True)
    except ValidationError:
        # From None: the cause would show the file's content.
        raise ConfigError(
            f"{file}: not one JSON object of names and strings", hint="write the secrets again: voicedeploy secrets set"
        ) from None


def read_key(path: Path, config: FrontConfig) -> str:
    """The API key, stripped. Raises `ConfigError` if it is missing, short, or readable by others."""
    access = config.access
    if access.key_file:
        return _key(path, "access.key_file", access.key_file)
    return _long_enough(path, "access.key_env", access.key_env, os.environ.get(access.key_env, "").strip())


def _key(path: Path, name: str, file: Path) -> str:
    try:
        key = file.read_text(encoding="ascii").strip()
        mode = file.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: {name}: {file}: {error}",
            hint="write 32 random characters into it: openssl rand -hex 32",
        ) from error
    if mode & 0o077 and not _credential(file):
        raise ConfigError(f"{path}: {name}: {file} can be read by others", hint=f"chmod 600 {file}")
    return _long_enough(path, name, str(file), key)


def _long_enough(path: Path, name: str, where: str, key: str) -> str:
    if len(key) < 32:
        raise ConfigError(
            f"{path}: {name}: {where or 'nothing'} holds {len(key)} characters, which can be guessed",
            hint="write at least 32 random characters: openssl rand -hex 32",
        )
    return key
