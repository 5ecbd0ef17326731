"""`voicedeploy releases`."""

from voicedeploy.cli import options, show


def releases(
    file: options.File = options.SPEC,
    where: options.Where = None,
    host: options.Host = None,
    json: options.Json = False,
) -> None:
    """Show which releases the target still holds, newest first."""
    from voicedeploy.errors import NotReady

    spec = options.project(file)
    provider = options.provider(spec, where, host)
    have = provider.find(spec.bot.name)
    if have is None:
        raise NotReady(f"{spec.bot.name} is not on {provider.name}", hint="`voicedeploy up`")
    found = provider.releases(have)
    if json:
        rows = [
            {
                "release": r.id,
                "state": r.state,
                "created_at": r.created_at,
                "transport": r.transport,
                "sessions": r.sessions,
                "was_live": r.was_live,
            }
            for r in found
        ]
        show.data({"provider": provider.name, "bot": have.bot, "releases": rows})
        return
    lines = [(r.id, r.state if r.was_live else "never live", r.created_at, r.transport, str(r.sessions)) for r in found]
    show.table(lines, ("release", "state", "made", "transport", "calls"))
