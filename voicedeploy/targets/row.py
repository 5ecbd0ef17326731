"""Rows of `data/targets.toml`, read strictly, and what follows from one by `voicedeploy.network`."""

import difflib
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, assert_never

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from voicedeploy.errors import UsageError
from voicedeploy.network import BoundUdp, Known, NoUdp, Offer, OpenUdp, Transport, UdpIn, Verdict, need, verdict
from voicedeploy.units import duration_text

DATA = Path(__file__).parents[1] / "data" / "targets.toml"

Date = Annotated[str, StringConstraints(pattern=r"^20\d\d-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?$")]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=False, pattern=r"^\S(.*\S)?$")]
Answer = Annotated[Known, Field(strict=False)]
Limit = Annotated[int, Field(ge=0)] | Literal["none", "unknown"]
Mark = Literal["ran", "src", "doc", "issue", "inf", "mem"]
MARKS: Mapping[Mark, str] = {
    "ran": "measured",
    "src": "source",
    "doc": "documented",
    "issue": "reported",
    "inf": "inferred",
    "mem": "unverified",
}


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Evidence(_Row):
    """Where a fact comes from. `date` is that of the source: a day, or a month where the day is not known."""

    mark: Mark
    where: Text
    date: Date
    says: Text


class Target(_Row):
    """A row of the table; the keys are explained at the top of `data/targets.toml`.

    Limits are in seconds; "none" means that nobody ends the call, "unknown" that nobody says.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]
    title: Text
    kind: Literal["local", "vm", "paas", "cloud", "kubernetes", "gpu", "managed", "config"]
    aliases: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    providers: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    closed: str = ""
    udp_in: Literal["open", "bound", "no", "unknown"]
    udp_in_text: Text
    bind: str = ""
    ready: bool = False
    opt_in: str = ""
    udp_out: Answer
    udp_out_text: str = ""
    http: Answer = Known.YES
    websocket: Answer
    http_text: str = ""
    relay: bool = False
    ports: Literal["any", "range", "list", "one", "random", "none", "unknown"]
    public_ip: Literal["nic", "nat", "anycast", "varies", "lan", "none", "unknown"]
    max_session_s: Limit
    websocket_limit_s: Limit
    session_text: str = ""
    drain_default_s: Limit
    drain_max_s: Limit
    drain_text: str = ""
    scale_zero: Answer
    warm: str = ""
    gpu: Answer
    note: str = ""
    as_of: Date
    evidence: Annotated[tuple[Evidence, ...], Field(strict=False, min_length=1)]

    @property
    def session_limit(self) -> str:
        """How long a call may last: "none", "unknown", "4 h", "60 min a WebSocket"."""
        parts = [in_words(self.max_session_s)] if isinstance(self.max_session_s, int) else []
        if isinstance(self.websocket_limit_s, int):
            parts.append(f"{self.websocket_limit_s // 60} min a WebSocket")
        return ", ".join(parts) or ("none" if self.max_session_s == "none" else "unknown")

    @property
    def drain_limit(self) -> str:
        """How long calls may go on after a stop was asked for: "none", "10 s", "5 s, at most 5 min"."""
        default, most = self.drain_default_s, self.drain_max_s
        if default == most:
            return in_words(default)
        if default == "unknown":
            return "no upper limit" if most == "none" else f"at most {in_words(most)}"
        if most == "none":
            return f"{in_words(default)}, no upper limit"
        return f"{in_words(default)}, {'upper limit unknown' if most == 'unknown' else f'at most {in_words(most)}'}"

    @property
    def inbound(self) -> Literal["yes", "conditional", "no", "unknown"]:
        """Whether UDP gets in, in one word."""
        words: Mapping[str, Literal["yes", "conditional"]] = {"open": "yes", "bound": "conditional"}
        return self.udp_in if self.udp_in in ("no", "unknown") else words[self.udp_in]


def in_words(limit: Limit) -> str:
    if not isinstance(limit, int):
        return limit
    return f"{limit // 86400} days" if limit and limit % 86400 == 0 else duration_text(limit)


# --- reading ----------------------------------------------------------------------------------------


@cache
def load(path: Path = DATA) -> tuple[Target, ...]:
    """Every row, in the order of the file. `ValueError` names the row and the key that are wrong."""
    rows: list[Target] = []
    taken: dict[str, str] = {}
    for name, table in tomllib.loads(path.read_text("utf-8")).items():
        try:
            row = Target.model_validate({**table, "name": name})
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            key = ".".join(str(part) for part in (name, *fault["loc"]))
            raise ValueError(f"{path.name}: {key}: {fault['msg']}") from None
        for word in (row.name, *row.aliases):
            if word in taken:
                raise ValueError(f"{path.name}: {name}: {word!r} is also a name of {taken[word]!r}")
            taken[word] = name
        rows.append(row)
    return tuple(rows)


def find(name: str) -> Target:
    """The row called `name`, by its name or an alias, whatever the case; `UsageError` names near ones."""
    names = {word: row for row in load() for word in (row.name, *row.aliases)}
    wanted = name.strip().lower()
    if wanted in names:
        return names[wanted]
    near = list(dict.fromkeys(names[word].name for word in difflib.get_close_matches(wanted, names, n=3)))
    hint = f"did you mean {' or '.join(f'`{n}`' for n in near)}?" if near else "`voicedeploy targets` lists them all"
    raise UsageError(f"there is no target {name!r} in the table", hint=hint)


# --- what follows from a row ------------------------------------------------------------------------

_PORTS = {
    "any": "any port",
    "range": "a range of ports that you choose",
    "list": "ports named one by one",
    "one": "one port",
    "random": "ports that the platform picks",
    "none": "no port",
    "unknown": "some ports",
}


def offer(row: Target) -> Offer:
    """What the network at this target carries, as typed as a provider's own offer."""
    return Offer(
        udp_in=_udp_in(row),
        udp_out=row.udp_out,
        udp_out_reason=row.udp_out_text,
        http=row.http,
        websocket=row.websocket,
        http_reason=row.http_text,
        relay=row.relay,
        closed=row.closed,
    )


def _udp_in(row: Target) -> UdpIn:
    match row.udp_in:
        case "open":
            match row.public_ip:
                case "nic" | "nat" | "varies" | "lan":
                    return OpenUdp(_PORTS[row.ports], row.public_ip)
                case _:
                    raise ValueError(f"{row.name}: UDP is open, but not at a public_ip of {row.public_ip!r}")
        case "bound":
            return BoundUdp(_PORTS[row.ports], row.bind, row.udp_in_text, row.ready)
        case "no":
            return NoUdp(row.udp_in_text)
        case "unknown":
            return NoUdp(f"nobody documents that it does; {row.udp_in_text}")
        case _:
            assert_never(row.udp_in)


def verdicts(row: Target, relay: bool = False) -> dict[Transport, Verdict]:
    """How each transport gets through; `relay`: a TURN server is configured."""
    offered = offer(row)
    return {transport: verdict(need(transport, relay), offered) for transport in Transport}


def works(row: Target, relay: bool = False) -> tuple[Transport, ...]:
    return tuple(transport for transport, found in verdicts(row, relay).items() if found.word != "no")
