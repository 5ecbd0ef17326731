"""`voicedeploy phone`: a number that somebody already has leads to the bot, and back."""

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voicedeploy.cli import options, show

if TYPE_CHECKING:
    from voicedeploy.phone.account import Account
    from voicedeploy.phone.binding import Number
    from voicedeploy.plan import Door
    from voicedeploy.provider import Finding, Provider
    from voicedeploy.spec import Spec

app = typer.Typer(
    help="Make a phone number that you have lead to the bot. Nothing is ever bought.", no_args_is_help=True
)

_Number = Annotated[str, typer.Argument(help="Such as +14155550100.", metavar="NUMBER")]


@app.command("bind")
def bind(
    number: Annotated[str | None, typer.Argument(help="Such as +14155550100.", metavar="NUMBER")] = None,
    file: options.File = options.SPEC,
    where: options.Where = None,
    host: options.Host = None,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Make a number lead to the bot. Shows what it led to before; `unbind` goes back to that."""
    from voicedeploy.errors import UsageError
    from voicedeploy.phone import binding
    from voicedeploy.serve.phone import LINES

    spec = options.project(file)
    provider = _one(options.providers(spec, where, host))
    door = _door(provider, spec)
    if spec.transport.kind in LINES:
        _by_hand(spec, door, json=json)
        return
    if number is None:
        raise UsageError("which number?", hint="`voicedeploy phone list` shows those of the account")
    url = f"{_public(spec, door)}/phone"
    account = _account(spec)
    have = binding.find(account, binding.normal(number))
    if have.bound and have.url == url:
        _answer(spec, have, have.leads_to, url, changed=False, json=json)
        return
    if not json:
        show.note(f"{spec.transport.kind} · {have.owned.number}")
        show.note(f"- leads to  {have.leads_to}")
        show.note(f"+ leads to  {url}")
        show.note()
    _confirm(yes)
    binding.bind(account, have, url)
    _answer(spec, have, have.leads_to, url, changed=True, json=json)


@app.command("unbind")
def unbind(
    number: _Number,
    file: options.File = options.SPEC,
    yes: options.Yes = False,
    json: options.Json = False,
) -> None:
    """Make a number lead to where it did before `bind`."""
    from voicedeploy.errors import NotReady
    from voicedeploy.phone import binding

    spec = options.project(file)
    account = _account(spec)
    have = binding.find(account, binding.normal(number))
    if not have.bound:
        raise NotReady(
            f"{have.owned.number} is not bound: it leads to {have.leads_to}", hint="`voicedeploy phone list`"
        )
    before = have.before or have.owned.url or "nothing"
    if not json:
        show.note(f"{spec.transport.kind} · {have.owned.number}")
        show.note(f"- leads to  {have.leads_to}")
        show.note(f"+ leads to  {before}, as it did before")
        show.note()
    _confirm(yes)
    binding.unbind(account, have)
    if json:
        show.data({"number": have.owned.number, "carrier": spec.transport.kind.value, "leads_to": before})
    else:
        show.line(f"{have.owned.number} leads to {before} again")


@app.command("list")
def list_(file: options.File = options.SPEC, json: options.Json = False) -> None:
    """Show the numbers of the carrier's account and what they lead to."""
    from voicedeploy.phone import binding

    spec = options.project(file)
    found = binding.numbers(_account(spec))
    if json:
        rows = [{"number": n.owned.number, "leads_to": n.leads_to, "bound": n.bound} for n in found]
        show.data({"carrier": spec.transport.kind.value, "numbers": rows})
        return
    if not found:
        show.line(f"no numbers in this account of {spec.transport.kind}; voicedeploy buys none")
        return
    show.table(
        [(n.owned.number, "yes" if n.bound else "no", n.leads_to) for n in found], ("number", "bound", "leads to")
    )


@app.command("check")
def check(
    number: Annotated[str | None, typer.Argument(help="Also what this one leads to.", metavar="NUMBER")] = None,
    url: Annotated[str | None, typer.Option("--url", help="Another webhook.", metavar="URL")] = None,
    file: options.File = options.SPEC,
    where: options.Where = None,
    host: options.Host = None,
    json: options.Json = False,
) -> None:
    """Ask the webhook as the carrier would, and say what stands between a caller and the bot. Nobody is called."""
    from voicedeploy import readiness
    from voicedeploy.errors import NotReady
    from voicedeploy.phone.knock import Knock, knock
    from voicedeploy.serve.phone import CARRIERS, LINES

    spec = options.project(file)
    kind = spec.transport.kind.value
    if kind in LINES:
        raise NotReady(f"{kind} asks no webhook", hint="call the number; `voicedeploy phone bind` prints its address")
    _carrier(spec)
    secret = _known(spec).get(CARRIERS[kind].SIGNING_SECRET, "")
    if url:
        found = knock(Knock(kind, url, secret))
    else:
        provider = _one(options.providers(spec, where, host))
        door = _door(provider, spec)
        url = f"{_public(spec, door)}/phone"
        found = readiness.credentials(spec, provider.secrets(spec.bot.name).names())
        found += knock(Knock(kind, url, secret, door.key))
    if number:
        found += _leads(spec, number, url)
    _findings(kind, url, found, json=json)
    if any(finding.severity == "error" for finding in found):
        if json:
            raise typer.Exit(NotReady.exit_code)
        raise NotReady("the carrier would not reach the bot", hint="nothing was changed; the codes: findings.md")


def _findings(kind: str, url: str, found: "list[Finding]", *, json: bool) -> None:
    from voicedeploy.cli.check import as_rows, fix, row

    if json:
        show.data({"carrier": kind, "url": url, "findings": as_rows(found)})
        return
    show.line(f"{kind} · {url}")
    show.line()
    said = ""
    for finding in found:
        code = "" if finding.severity == "ok" else f"{finding.code}  "
        row(finding.subject, finding.severity, f"{code}{finding.message}")
        # One document corrects several faults.
        if finding.fix not in ("", said):
            fix("fix", finding.fix.replace("\n", "\n" + " " * 20))
        said = finding.fix


def _leads(spec: "Spec", number: str, url: str) -> "list[Finding]":
    from voicedeploy.phone import binding
    from voicedeploy.provider import Finding

    have = binding.find(_account(spec), binding.normal(number))
    if have.url == url:
        return [Finding("VD000", "ok", "number", f"{have.owned.number} leads there")]
    said = f"{have.owned.number} leads to {have.leads_to}"
    return [Finding("VD178", "error", "number", said, f"voicedeploy phone bind {have.owned.number}")]


def _carrier(spec: "Spec") -> str:
    from voicedeploy.errors import UsageError
    from voicedeploy.phone import KEYS

    kind = spec.transport.kind.value
    if kind not in KEYS:
        raise UsageError(
            f"`{kind}` has no phone numbers that could be bound",
            hint=f'[transport] kind = "{next(iter(KEYS))}" in voicedeploy.toml, or {", ".join(list(KEYS)[1:])}',
        )
    return kind


def _one(providers: "list[Provider]") -> "Provider":
    from voicedeploy.errors import UsageError

    if len(providers) > 1:
        raise UsageError("a number leads to one place, and there are several", hint="say which: --host H")
    return providers[0]


def _door(provider: "Provider", spec: "Spec") -> "Door":
    from voicedeploy.errors import NotReady

    have = provider.find(spec.bot.name)
    if have is None:
        raise NotReady(f"{spec.bot.name} is not on {provider.where}", hint="`voicedeploy up`")
    if have.transport != spec.transport.kind:
        raise NotReady(
            f"what runs there is served over {have.transport}, not {spec.transport.kind}", hint="`voicedeploy up`"
        )
    door = provider.door(have)
    if door.way:
        raise NotReady(
            f"{provider.where} has no webhook that a number could lead to",
            hint=f"lead it there by hand: {door.way.told}" if door.way.stream else "`voicedeploy check`",
        )
    return door


def _public(spec: "Spec", door: "Door") -> str:
    """The front's address as a carrier knows it."""
    from voicedeploy.errors import NotReady

    url = (spec.access.public_url or door.url).rstrip("/")
    if door.ca and not spec.access.public_url:
        raise NotReady(
            f"no carrier trusts {url}: its certificate is from an authority of its own",
            hint="give the bot a name of its own: [provider.vm] domain",
        )
    if not url.startswith("https://"):
        raise NotReady(
            f"no carrier reaches {url}",
            hint='serve it with --provider vm, or let a tunnel lead there and set [access] public_url = "https://…"',
        )
    return url


def _known(spec: "Spec") -> dict[str, str]:
    """What the environment and the project's .env hold."""
    from dotenv import dotenv_values

    written = {name: value or "" for name, value in dotenv_values(spec.root / ".env", interpolate=False).items()}
    return {**written, **os.environ}


def _account(spec: "Spec") -> "Account":
    from voicedeploy.errors import UsageError
    from voicedeploy.phone import KEYS, open_account

    names = KEYS[_carrier(spec)]
    known = _known(spec)
    keys = {name: known.get(name, "") for name in names}
    missing = [name for name in names if not keys[name]]
    if missing and not sys.stdin.isatty():
        raise UsageError(
            f"not set: {', '.join(missing)}",
            hint="put them into the environment or the project's .env; never type them",
        )
    for name in missing:
        keys[name] = typer.prompt(name, hide_input=True, err=True)
    return open_account(spec.transport.kind.value, keys)


def _confirm(yes: bool) -> None:
    from voicedeploy.errors import NotReady

    if yes:
        return
    if not sys.stdin.isatty():
        raise NotReady("this needs a yes, and there is no terminal to ask", hint="look at it, then use --yes")
    if not typer.confirm("Go ahead?", err=True):
        raise NotReady("not confirmed; nothing was changed")


def _answer(spec: "Spec", have: "Number", before: str, url: str, *, changed: bool, json: bool) -> None:
    number = have.owned.number
    undo = f"voicedeploy phone unbind {number}"
    if json:
        said: dict[str, Any] = {"number": number, "carrier": spec.transport.kind.value, "changed": changed}
        show.data({**said, "before": before, "url": url, "undo": undo})
        return
    show.line(f"Call it: {number}" if changed else f"nothing to change: {number} leads to {url}")
    show.note(f"undo: {undo}")


def _by_hand(spec: "Spec", door: "Door", *, json: bool) -> None:
    from voicedeploy.serve.tokens import Tokens

    url = f"wss{_public(spec, door).removeprefix('https')}/ws/line/{Tokens(door.key).line()}"
    steps = (
        "App Bazaar: make an app with a Voicebot applet, and give it the address below",
        "put a Hangup applet behind it",
        "Phone numbers: let the number lead to the app",
    )
    if json:
        show.data({"carrier": spec.transport.kind.value, "url": url, "steps": list(steps)})
        return
    show.line(f"{spec.transport.kind} has no interface for this; in its dashboard:")
    for count, step in enumerate(steps, 1):
        show.line(f"{count}. {step}")
    show.line()
    show.line(url)
    show.line("Who knows it can call the bot: keep it as you keep a password. A new key makes a new one.")
