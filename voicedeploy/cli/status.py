"""`voicedeploy status`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from voicedeploy.cli import options, show

if TYPE_CHECKING:
    from voicedeploy.deployment import Status
    from voicedeploy.provider import Provider
    from voicedeploy.spec import Spec


def status(
    file: options.File = options.SPEC,
    where: options.Where = None,
    host: options.Host = None,
    invite: Annotated[
        str | None,
        typer.Option("--invite", help="Also a link that lets somebody in for so long.", metavar="1h"),
    ] = None,
    json: options.Json = False,
) -> None:
    """Show what runs: of this project, or everything on the target where there is no spec."""
    from voicedeploy.cli.invite import link

    ttl_s = _ttl(invite)
    spec = options.project(file) if file.exists() or file != options.SPEC else None
    providers = options.providers(spec, where, host)
    found = [(provider, state) for provider in providers for state in _states(provider, spec)]
    states = [state for _, state in found]
    links = {id(state): link(provider.door(state.deployment), ttl_s) for provider, state in found} if ttl_s else {}
    if json:
        show.data({"deployments": [_as_json(state, links.get(id(state))) for state in states]})
        return
    if not states:
        show.line(f"nothing on {', '.join(provider.where for provider in providers)}")
        return
    rows = [_row(state) for state in states]
    show.table(rows, ("bot", "release", "transport", "state", "calls", "warm", "url"))
    for state in states:
        if state.reason:
            show.line(f"{state.deployment.bot}: {state.reason}")
        if state.disk_free is not None:
            show.line(f"{state.deployment.bot}: {state.disk_free / 2**30:.1f} GB of disk free")
        if state.cost_per_day is not None:
            show.line(f"{state.deployment.bot}: about ${state.cost_per_day:.2f} a day, calls or none")
        if id(state) in links:
            show.line(f"{state.deployment.bot}: {links[id(state)]}")
        for old in state.draining:
            show.line(f"{state.deployment.bot}: {old.release} drains, {old.sessions} calls left")


def _states(provider: "Provider", spec: "Spec | None") -> "list[Status]":
    if spec is None:
        return [provider.status(deployment) for deployment in provider.deployments()]
    have = provider.find(spec.bot.name)
    return [provider.status(have)] if have else []


def _row(state: "Status") -> tuple[str, ...]:
    have = state.deployment
    calls = f"{state.sessions}/{state.slots}" if state.slots else "-"
    return (have.bot, have.release, have.transport, state.state, calls, str(state.warm), have.url)


def _ttl(text: str | None) -> int:
    from voicedeploy import units
    from voicedeploy.errors import UsageError

    try:
        return units.seconds(text) if text else 0
    except ValueError as error:
        raise UsageError(f"--invite: {error}", hint='write it like "1h"') from None


def _as_json(state: "Status", link: str | None) -> dict[str, Any]:
    have = state.deployment
    return {
        **({"invite": link} if link else {}),
        "provider": have.provider,
        "bot": have.bot,
        "release": have.release,
        "transport": have.transport,
        "state": state.state,
        "reason": state.reason,
        "url": have.url,
        "sessions": state.sessions,
        "slots": state.slots,
        "warm": state.warm,
        "draining": [{"release": old.release, "sessions": old.sessions} for old in state.draining],
        "cost_per_day": state.cost_per_day,
        "disk_free": state.disk_free,
    }
