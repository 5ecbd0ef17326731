"""voicedeploy.toml → a frozen, typed `Spec`, or errors that read `file: key: message` with a remedy."""

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from voicedeploy import units
from voicedeploy.errors import SpecError
from voicedeploy.network import Transport, receives_media
from voicedeploy.section import Section, wrong
from voicedeploy.servers import IceServer, TurnServer, servers

FILE = "voicedeploy.toml"


def _parsed(parse: Callable[[str], int], remedy: str) -> BeforeValidator:
    def before(value: object) -> object:
        if not isinstance(value, str):
            raise wrong(f"{value!r} is not text", remedy)
        try:
            return parse(value)
        except ValueError as error:
            raise wrong(str(error), remedy) from None

    return BeforeValidator(before)


Seconds = Annotated[int, _parsed(units.seconds, 'write it like "90s", "30m" or "1h30m"')]
Bytes = Annotated[int, _parsed(units.size, 'write it like "512MiB" or "1GiB"')]


class Bot(Section):
    name: str
    entry: str = "bot.py"
    python: str | None = None
    """A Python version such as `3.12`; None takes what the project's `requires-python` allows."""
    provider: str = "local"
    """Where the commands go when `--provider` is not typed."""
    secrets: tuple[str, ...] = Field(default=(), strict=False)
    """Names of environment variables the bot reads; their values are set by `voicedeploy secrets set`."""

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", value):
            raise wrong(
                f"{value!r} cannot be the name of a bot",
                "use up to 40 lower-case letters, digits and '-', starting with a letter",
            )
        return value

    @field_validator("secrets")
    @classmethod
    def _secrets(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise wrong(
                    "an entry is not the name of an environment variable",
                    'list names only, e.g. ["OPENAI_API_KEY"]; values go to `voicedeploy secrets set`',
                )
        return value

    @field_validator("entry")
    @classmethod
    def _entry(cls, value: str) -> str:
        path = Path(value)
        if path.is_absolute() or ".." in path.parts or path.suffix != ".py":
            raise wrong(
                f"{value!r} is not a Python file inside the project",
                'name the file with `async def bot(runner_args)`, e.g. entry = "bot.py"',
            )
        return value


class TransportSection(Section):
    kind: Transport = Field(default=Transport.WEBRTC, strict=False)
    turn: Annotated[tuple[TurnServer, ...], BeforeValidator(servers)] = ()
    """Relays for bot and caller; they need no open port."""
    ice_servers: Annotated[tuple[IceServer, ...], BeforeValidator(servers)] = ()
    """STUN servers, and anything else for both sides; asked in this order."""
    relay_only: bool = False
    """Nobody names an address but the relay's: for networks that let nothing else through, and to try the relay."""
    region: str | None = None
    """Where rooms are, in the words of the service that makes them; None leaves it to the service."""

    @field_validator("region")
    @classmethod
    def _region(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value):
            raise wrong(f"{value!r} is not a region", 'write it like "eu-central-1"')
        return value

    @model_validator(mode="after")
    def _relayed(self) -> Self:
        if self.relay_only and not self.turn:
            raise wrong("relay_only without a relay leaves no way to the bot", "add a server to `transport.turn`")
        return self

    @property
    def servers(self) -> tuple[TurnServer | IceServer, ...]:
        """Relays first: the bot's stack asks only the first STUN and the first TURN server."""
        return (*self.turn, *self.ice_servers)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of the secrets that the relays' credentials are made of; the front's, not the bot's."""
        return tuple(dict.fromkeys(server.secret for server in self.turn if server.secret))


class Session(Section):
    """What one call has for itself."""

    cpu: float = Field(default=0.5, gt=0, le=64)
    memory: Bytes = 2**30
    max_duration: Seconds = 1800
    idle: Seconds = 600
    """How long nobody may say a word, for bots that take it from `runner_args.pipeline_idle_timeout_secs`."""
    isolation: Literal["fork", "spawn"] = "fork"

    @field_validator("cpu", mode="before")
    @classmethod
    def _whole_cpus(cls, value: object) -> object:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("memory")
    @classmethod
    def _enough(cls, value: int) -> int:
        if value < 64 * 2**20:
            raise wrong("less than 64MiB cannot hold a bot", 'the usual is "1GiB"')
        return value

    @field_validator("max_duration", "idle")
    @classmethod
    def _some(cls, value: int) -> int:
        if value < 1:
            raise wrong("a call needs some time", 'write it like "30m"')
        return value


class Pool(Section):
    """How many bot processes are kept ready."""

    warm: str | int = "20%"
    min: int = Field(default=1, ge=0)
    max: int = Field(default=4, ge=1, le=1000)

    @field_validator("warm")
    @classmethod
    def _share(cls, value: str | int) -> str | int:
        fine = value >= 0 if isinstance(value, int) else re.fullmatch(r"\d{1,2}%", value)
        if not fine:
            raise wrong(f"{value!r} is not a share", 'write a share from "0%" to "99%", or a number of processes')
        return value

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.min > self.max:
            raise wrong(f"min = {self.min} is more than max = {self.max}", "raise pool.max or lower pool.min")
        return self


class Access(Section):
    """Who may start a call. Without this section: callers with a token, and pages of the bot's own origin."""

    public: bool = False
    """Anybody may start a call, within `starts_per_minute`."""
    origins: tuple[str, ...] = Field(default=(), strict=False)
    starts_per_minute: int = Field(default=10, ge=1)
    """Per caller's address."""
    public_url: str = ""
    """Where callers reach the front, if that is an address that the provider does not know: a tunnel's, a proxy's."""

    @field_validator("public_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^/?#\s]+/?", value):
            raise wrong(f"{value!r} is not an address", 'write it like "https://talk.example.org", without a path')
        return value

    @field_validator("origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if origin != "*" and not re.fullmatch(r"https?://[^/\s]+", origin):
                raise wrong(f"{origin!r} is not an origin", 'write it like "https://www.example.org", without a path')
        return value


# The slot is held while the greeting is said, and the media socket is waited for 30 s.
LONGEST_SAID = 300


class Phone(Section):
    """What a caller hears before the bot answers, in the carrier's own voice."""

    greeting: str = ""
    """Before every call, while the bot is got ready."""
    hold: str = "All lines are busy. Please hold."
    """Again and again while no slot is free."""
    sorry: str = "We are sorry, nobody can take your call now. Please call again later."
    """Before hanging up on somebody who has held too long."""
    language: str = "en-US"
    voice: str = ""
    """The carrier's name of a voice; "" is its default."""
    patience: Seconds = 120
    """So long a caller is kept on hold."""

    @field_validator("greeting", "hold", "sorry")
    @classmethod
    def _short(cls, value: str) -> str:
        if len(value) > LONGEST_SAID:
            raise wrong(f"{len(value)} characters take too long to say", f"at most {LONGEST_SAID}")
        return value


class Upstream(Section):
    """Another platform, on which the bots run: the front keeps its page and its phone's webhook, and leads callers
    there."""

    provider: str = ""
    """As `--provider` calls it; it tells what is not written here."""
    url: str = ""
    """What `/start` and `/sessions/…` are under."""
    key: str = ""
    """Names the secret that lets a session be begun there."""
    line: str = ""
    """The media socket that a phone's carrier is led to."""
    parameters: dict[str, str] = Field(default_factory=dict)
    """What the carrier is told to say first on it."""

    @field_validator("url", "line")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not re.match(r"(https?|wss?)://[^/?#\s]+", value):
            raise wrong(f"{value!r} is not an address", 'for Pipecat Cloud, provider = "pipecat-cloud" is enough')
        return value.rstrip("/")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.url and not self.provider and not self.key:
            raise wrong(
                "there is an address and no key", 'add key = "NAME", and give it its value by `voicedeploy secrets set`'
            )
        return self

    def __bool__(self) -> bool:
        return bool(self.provider or self.url)


class Spec(Section):
    bot: Bot
    upstream: Upstream = Upstream()
    transport: TransportSection = TransportSection()
    session: Session = Session()
    pool: Pool = Pool()
    access: Access = Access()
    phone: Phone = Phone()
    provider: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    """A table of options for each provider; the provider itself validates its own."""

    _file: Path = PrivateAttr(default=Path(FILE))

    @property
    def file(self) -> Path:
        """The file this was read from, absolute."""
        return self._file

    @property
    def root(self) -> Path:
        """The project's folder, absolute."""
        return self._file.parent

    @property
    def receives_media(self) -> bool:
        """Whether packets of callers must reach the bot's front: only then are UDP ports its business."""
        return receives_media(self.transport.kind) and not self.upstream

    def with_upstream(self, upstream: Upstream) -> "Spec":
        changed = self.model_copy(update={"upstream": upstream})
        changed._file = self._file
        return changed

    @property
    def secrets(self) -> tuple[str, ...]:
        """All names whose values have to be set on a target."""
        return tuple(dict.fromkeys((*self.bot.secrets, *self.transport.secrets)))

    def options(self, provider: str) -> Mapping[str, Any]:
        return self.provider.get(provider, {})


def load(path: Path) -> Spec:
    """The spec in `path`; `SpecError` lists every fault at once."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise SpecError(
            f"{path}: there is no such file",
            hint="`voicedeploy init` makes a project, or adopts the Pipecat bot in this folder",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read: {error}", hint="it must be a readable UTF-8 text file") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(
            f"{path.name}: not TOML: {error}", hint='text values need quotes: name = "front-desk"'
        ) from None
    try:
        spec = Spec.model_validate(document)
    except ValidationError as error:
        faults = [explain(path.name, fault, Spec) for fault in error.errors(include_url=False)]
        raise SpecError(
            "\n".join(message for message, _ in faults),
            hint="\n".join(dict.fromkeys(hint for _, hint in faults)),
        ) from None
    spec._file = path.resolve()
    return spec


_REMEDIES = {
    "missing": "add the key",
    "string_type": "put the value in quotes",
    "int_type": "write a whole number without quotes",
    "float_type": "write a number without quotes",
    "bool_type": "write true or false, without quotes",
    "tuple_type": 'write a list: ["…", "…"]',
    "model_type": "make it a table",
    "dict_type": "make it a table",
}


def explain(file: str, fault: ErrorDetails, model: type[BaseModel], prefix: str = "") -> tuple[str, str]:
    """One fault as (`file: key: message`, remedy). `prefix` is the dotted table that `model` describes."""
    # A union's location also names its members; a key never contains brackets or capital type names of ours.
    parts = [str(p) for p in fault["loc"] if not (isinstance(p, str) and re.search(r"[\[\]()]|^(str|int)$", p))]
    key = ".".join([prefix, *parts] if prefix else parts) or "(whole file)"
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "extra_forbidden":
        known = _keys(model, parts[:-1])
        near = difflib.get_close_matches(parts[-1], known, n=1, cutoff=0.6)
        remedy = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(sorted(known))}"
        return f"{file}: {key}: there is no such key", remedy
    if kind == "voicedeploy":
        return f"{file}: {key}: {context['message']}", str(context["remedy"])
    if kind in ("enum", "literal_error"):
        return f"{file}: {key}: {fault['input']!r} is not known", f"one of {context['expected']}"
    message = fault["msg"][0].lower() + fault["msg"][1:]
    hidden = kind == "missing" or re.search("credential|secret", key)
    got = "" if hidden else f", got {fault['input']!r}"
    return f"{file}: {key}: {message}{got}", _REMEDIES.get(kind, f"correct `{key}` in {file}")


def _keys(model: type[BaseModel], path: list[str]) -> set[str]:
    """The keys of the table at `path` below `model`."""
    for part in path:
        field = model.model_fields.get(part)
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return set()
        model = inner
    return set(model.model_fields)
