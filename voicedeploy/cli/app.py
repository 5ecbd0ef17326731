"""The command `voicedeploy` itself: its commands, and how an error becomes an exit code."""

import sys
from typing import Annotated

import typer

from voicedeploy.cli import (
    call,
    check,
    compare,
    down,
    init,
    logs,
    phone,
    releases,
    render,
    rollback,
    secrets,
    serve,
    show,
    status,
    switch_transport,
    targets,
    up,
)
from voicedeploy.errors import UsageError, VoiceDeployError

INTERRUPTED = 130

app = typer.Typer(
    name="voicedeploy",
    help="Put a Pipecat voice bot where strangers can talk to it, and prove by a call that it is heard.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from voicedeploy import __version__

        show.line(f"voicedeploy {__version__}")
        raise typer.Exit


@app.callback(
    epilog="Exit codes: 0 done and observed, 2 usage or spec, 3 refused and nothing changed, 4 failed, 130 interrupted."
)
def _global(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


app.command("init")(init.init)
app.command("check")(check.check)
app.command("targets")(targets.targets)
app.command("render")(render.render)
app.command("up")(up.up)
app.command("switch-transport")(switch_transport.switch_transport)
app.command("call")(call.call)
app.command("compare")(compare.compare)
app.command("status")(status.status)
app.command("logs")(logs.logs)
app.command("releases")(releases.releases)
app.command("rollback")(rollback.rollback)
app.command("down")(down.down)
app.add_typer(secrets.app, name="secrets")
app.add_typer(phone.app, name="phone")
app.command("serve")(serve.serve)


def main(argv: list[str] | None = None) -> int:
    """Runs one command; the exit code. Every error of ours leaves as `error: …` and `hint: …`, or as JSON."""
    arguments = sys.argv[1:] if argv is None else argv
    json = "--json" in arguments
    try:
        code = app(args=arguments, prog_name="voicedeploy", standalone_mode=False)
    except VoiceDeployError as error:
        show.error(error, json=json)
        return error.exit_code
    except typer.TyperException as error:
        return _usage(error, json=json)
    except (KeyboardInterrupt, typer.Abort):
        show.interrupted(json=json)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    return code if isinstance(code, int) else 0


def _usage(error: typer.TyperException, *, json: bool) -> int:
    context: typer.Context | None = getattr(error, "ctx", None)
    if context is not None and type(error).__name__ == "NoArgsIsHelpError":
        show.note(context.get_help())
    else:
        path = context.command_path if context else "voicedeploy"
        show.error(UsageError(error.format_message(), hint=f"`{path} --help`"), json=json)
    return UsageError.exit_code
