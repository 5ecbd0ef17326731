"""`voicedeploy switch-transport`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voicedeploy.cli import options, show
from voicedeploy.cli.up import How, NoCall, bring

if TYPE_CHECKING:
    from voicedeploy.engine import Checkup
    from voicedeploy.lint import Fault
    from voicedeploy.network import Transport
    from voicedeploy.provider import Provider
    from voicedeploy.spec import Spec
    from voicedeploy.switching import Change, Files


def switch_transport(
    transport: Annotated[str, typer.Argument(help="webrtc, daily, livekit, websocket, twilio, …", metavar="T")],
    file: options.File = options.SPEC,
    where: options.Where = None,
    host: options.Host = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")] = False,
    yes: options.Yes = False,
    patch: Annotated[bool, typer.Option("--patch", help="Apply the patches that the bot's code needs for it.")] = False,
    no_call: NoCall = False,
    tested_udp: options.Tested = False,
    json: options.Json = False,
) -> None:
    """Let the same bot be reached another way: edits one value of the spec, shows what changes, and is then an `up`."""
    from voicedeploy import switching

    kind = options.kind(transport)
    how = How(
        dry_run=dry_run, yes=yes, no_call=no_call, tested_udp=tested_udp, json=json, command="switch-transport"
    )  # fmt: skip
    spec = options.project_at(file, where)
    if dry_run:
        with switching.staged(spec) as copy:
            answer = _switch(copy, kind, how, where=where, host=host, patch=patch)
            for plan in answer.get("hosts", [answer]):
                _at_home(plan["steps"], copy.parent, spec.root)
    else:
        answer = _switch(spec.file, kind, how, where=where, host=host, patch=patch)
    if json:
        show.data(answer)


def _at_home(steps: list[dict[str, Any]], copy: Path, root: Path) -> None:
    """The plan was made in a copy, which is gone now."""
    for step in steps:
        if step["action"].get("from") == str(copy):
            step["action"]["from"] = str(root)


def _switch(
    file: Path, kind: "Transport", how: How, *, where: str | None, host: str | None, patch: bool
) -> dict[str, Any]:
    """Whatever ends it before the target is changed leaves the project's files as they were."""
    from voicedeploy import switching

    old = options.project_at(file, where)
    files = switching.Files()
    begun: list[bool] = []
    try:
        new = options.with_kind(old, kind)
        places = [(provider, _verdict(provider, new, how)) for provider in options.providers(new, where, host)]
        patched = _lint(new, files, patch=patch, json=how.json)
        edited = switching.edit(files, old, kind)
        new = options.project_at(file, where)
        said: list[dict[str, Any]] = []
        for provider, checkup in places:
            around = _changes(provider, old, new, checkup)
            if not how.json:
                _print(provider, old, kind, edited, patched, around)
            brought = bring(provider, new, how, begins=lambda: begun.append(True))
            said.append({**brought, "changes": [{"subject": c.subject, "message": c.message} for c in around]})
    except BaseException:
        if not begun:
            files.restore()
        elif files.changed:
            show.note(f"{old.file.name} says `{kind}` now; the way back: voicedeploy switch-transport "
                      f"{old.transport.kind}")  # fmt: skip
        raise
    return {"from": old.transport.kind.value, "to": kind.value, "edited": edited, "patched": patched,
            **options.together(said)}  # fmt: skip


def _verdict(provider: "Provider", new: "Spec", how: How) -> "Checkup":
    """Before anything else: the target has to carry it."""
    from voicedeploy import engine

    checkup = engine.packets(provider, new, tested_udp=how.tested_udp)
    engine.refuse(checkup)
    return checkup


def _lint(new: "Spec", files: "Files", *, patch: bool, json: bool) -> list[str]:
    """The bot's files that were patched, which happens only where that was asked for."""
    from voicedeploy import switching
    from voicedeploy.lint import apply, lint

    def look() -> "tuple[Fault, ...]":
        return lint(new.root, new.bot.entry, new.transport.kind)

    faults = look()
    patched: set[str] = set()
    while patch and (ready := [fault for fault in switching.stops(faults) if fault.patch]):
        for fault in ready:
            files.remember(new.root / fault.path)
        changed = apply(new.root, ready)
        if not changed:
            break
        patched |= set(changed)
        faults = look()
    if not json:
        for fault in switching.stops(faults):
            if fault.patch:
                show.line(fault.patch)
    switching.refuse(faults, new.transport.kind, patches=json)
    return sorted(patched)


def _changes(provider: "Provider", old: "Spec", new: "Spec", checkup: "Checkup") -> "list[Change]":
    from voicedeploy import switching

    have = provider.find(new.bot.name)
    there = provider.secrets(new.bot.name).names()
    url = f"{new.access.public_url.rstrip('/')}/" if new.access.public_url else have.url if have else ""
    return switching.changes(old, new, checkup.offer, there, url)


def _print(
    provider: "Provider", old: "Spec", kind: "Transport", edited: str, patched: list[str], around: "list[Change]"
) -> None:
    show.line(f"{provider.where} · {old.bot.name} · {old.transport.kind} → {kind}")
    show.line()
    show.line(f"{'spec':<10} {edited or f'says `{kind}` already'}")
    for path in patched:
        show.line(f"{'bot':<10} {path} patched")
    for change in around:
        show.line(f"{change.subject:<10} {change.message}")
    show.line()
