"""`voicedeploy secrets`: values go in, and never come out."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from voicedeploy.cli import options, show

app = typer.Typer(help="Set the bot's secret values on a target. They are never printed.", no_args_is_help=True)


@app.command("set")
def set_(
    names: Annotated[list[str] | None, typer.Argument(help="Which; all of the dotenv file where one is given.")] = None,
    dotenv: Annotated[
        Path | None, typer.Option("--from", help="Take the values from a dotenv file.", metavar="FILE")
    ] = None,
    file: options.File = options.SPEC,
    where: options.Where = None,
    host: options.Host = None,
    json: options.Json = False,
) -> None:
    """Set values: from a prompt, from stdin (one name: the whole of it), or from a dotenv file."""
    from voicedeploy import transports
    from voicedeploy.errors import UsageError

    spec = options.project_at(file, where)
    provider = options.provider(spec, where, host)
    wanted = names or (None if dotenv else list(transports.secrets(spec)))
    for name in wanted or ():
        if "=" in name:
            raise UsageError(
                "a value on the command line can be read by everybody on this machine",
                hint="type only the name; the value is asked for",
            )
    if dotenv is not None:
        values = _from_file(dotenv, wanted)
    elif not wanted:
        raise UsageError(
            "which secrets?", hint="`voicedeploy secrets set NAME`, or list them as `bot.secrets` in voicedeploy.toml"
        )
    elif not sys.stdin.isatty():
        if len(wanted) != 1:
            raise UsageError(
                "stdin holds one value, and several names were given", hint="one at a time, or --from FILE"
            )
        values = {wanted[0]: sys.stdin.read().removesuffix("\n")}
    else:
        values = {name: typer.prompt(name, hide_input=True, err=True) for name in wanted}
    empty = [name for name, value in values.items() if not value]
    if empty:
        raise UsageError(
            f"no value for {', '.join(empty)}",
            hint="nothing was set; to take one away: `voicedeploy secrets unset NAME`",
        )
    for part in provider.parts():
        with part.lock(spec.bot.name, "voicedeploy secrets set"):
            part.secrets(spec.bot.name).update(values)
    _answer(provider.name, sorted(values), "set", json=json)


@app.command("list")
def list_(
    file: options.File = options.SPEC,
    where: options.Where = None,
    host: options.Host = None,
    json: options.Json = False,
) -> None:
    """Show which secrets are set and which the spec asks for; never their values."""
    from voicedeploy import transports

    spec = options.project_at(file, where)
    provider = options.provider(spec, where, host)
    there = set(provider.secrets(spec.bot.name).names())
    wanted = set(transports.secrets(spec))
    if json:
        rows = [{"name": n, "set": n in there, "wanted": n in wanted} for n in sorted(there | wanted)]
        show.data({"provider": provider.name, "secrets": rows})
        return
    for name in sorted(there | wanted):
        state = "set" if name in there else "missing"
        show.line(f"{name}  {state}{'' if name in wanted else ', not asked for'}")
    if not there | wanted:
        show.line("no secrets")


@app.command("unset")
def unset(
    names: Annotated[list[str], typer.Argument(help="Which.")],
    file: options.File = options.SPEC,
    where: options.Where = None,
    host: options.Host = None,
    json: options.Json = False,
) -> None:
    """Take values away."""
    from voicedeploy.errors import UsageError

    spec = options.project_at(file, where)
    provider = options.provider(spec, where, host)
    for part in provider.parts():
        with part.lock(spec.bot.name, "voicedeploy secrets unset"):
            store = part.secrets(spec.bot.name)
            unknown = sorted(set(names) - set(store.names()))
            if unknown:
                raise UsageError(f"not set: {', '.join(unknown)}", hint="`voicedeploy secrets list`")
            store.update(dict.fromkeys(names))
    _answer(provider.name, sorted(names), "unset", json=json)


def _from_file(path: Path, wanted: list[str] | None) -> dict[str, str]:
    from dotenv import dotenv_values

    from voicedeploy.errors import UsageError

    if not path.is_file():
        raise UsageError(f"{path}: there is no such file")
    found = {name: value or "" for name, value in dotenv_values(path, interpolate=False).items()}
    missing = sorted(set(wanted or ()) - set(found))
    if missing:
        raise UsageError(f"{path} has no {', '.join(missing)}")
    return {name: found[name] for name in wanted} if wanted else found


def _answer(provider: str, names: list[str], did: str, *, json: bool) -> None:
    if json:
        show.data({"provider": provider, did: names})
    else:
        show.line(f"{did} on {provider}: {', '.join(names)}; takes effect with the next `voicedeploy up`")
