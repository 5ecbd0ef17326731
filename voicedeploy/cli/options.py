"""The options that many commands share, and what they make together."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from voicedeploy.network import Transport
    from voicedeploy.provider import Provider
    from voicedeploy.spec import Spec

File = Annotated[Path, typer.Option("--file", help="The project's spec.", metavar="FILE")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show more.")]
Where = Annotated[str | None, typer.Option("--provider", help="Where: local, … (see `targets`).", metavar="P")]
Host = Annotated[str | None, typer.Option("--host", help="The provider's `host` option.", metavar="H")]
Kind = Annotated[str | None, typer.Option("--transport", help="Instead of the spec's transport.", metavar="T")]
Tested = Annotated[
    bool,
    typer.Option("--i-tested-udp", help="Packets get through, whatever is known of the target: a call must prove it."),
]

SPEC = Path("voicedeploy.toml")


def project(file: Path, transport: str | None = None) -> "Spec":
    from voicedeploy.spec import load

    spec = load(file)
    return with_kind(spec, kind(transport)) if transport else spec


def project_at(file: Path, where: str | None, transport: str | None = None) -> "Spec":
    """As the provider reads it that was typed, or the spec's own: its bots may be on another platform."""
    spec = project(file, transport)
    if not spec.upstream:
        return spec
    from voicedeploy import upstream

    return upstream.seen_from(spec, where or spec.bot.provider)


def kind(name: str) -> "Transport":
    """The transport of that name; `UsageError` lists them all."""
    from voicedeploy.errors import UsageError
    from voicedeploy.network import Transport

    try:
        return Transport(name)
    except ValueError:
        raise UsageError(f"there is no transport {name!r}", hint=f"one of {', '.join(Transport)}") from None


def with_kind(spec: "Spec", kind: "Transport") -> "Spec":
    """The same spec with another transport; the file is as it was."""
    changed = spec.model_copy(update={"transport": spec.transport.model_copy(update={"kind": kind})})
    changed._file = spec.file
    return changed


def provider(spec: "Spec | None", name: str | None, host: str | None) -> "Provider":
    """The provider that was typed, or the spec's, configured by the spec. Of several places it is all of them: see
    `providers`."""
    from voicedeploy import registry

    chosen = name or (spec.bot.provider if spec else "local")
    options: dict[str, Any] = dict(spec.options(chosen)) if spec else {}
    if host:
        options["host"] = host
    if chosen not in registry.names():
        _known_target(spec, chosen)
    return registry.load(chosen).configure(options)


def _known_target(spec: "Spec | None", name: str) -> None:
    """A place that is in the table, and that no provider here serves: what is known of it is said all the same."""
    from voicedeploy import engine, targets
    from voicedeploy.errors import UsageError
    from voicedeploy.network import need, verdict

    try:
        row = targets.find(name)
    except UsageError:
        return
    if spec:
        kind, relay, offer = spec.transport.kind, bool(spec.transport.turn), targets.offer(row)
        engine.refuse(engine.Checkup(row.name, kind, relay, offer, verdict(need(kind, relay), offer), ()))
    raise UsageError(
        f"there is no provider for {row.title} here", hint=f"`voicedeploy targets {row.name}` shows what it carries"
    )


def providers(spec: "Spec | None", name: str | None, host: str | None) -> "list[Provider]":
    """One for each place: most providers have one, several hosts are several."""
    return provider(spec, name, host).parts()


def together(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """The JSON of one place as it is, of several as a list."""
    return answers[0] if len(answers) == 1 else {"hosts": answers}
