"""What of the project itself can stand in the way, on whatever target."""

import ast
import re
from collections.abc import Collection, Sequence

from voicedeploy import packages, project, relays, transports
from voicedeploy.errors import NotReady
from voicedeploy.network import receives_media
from voicedeploy.provider import Finding
from voicedeploy.spec import Spec
from voicedeploy.stun import answers
from voicedeploy.turn import Outcome


def findings(spec: Spec, secrets: Collection[str], tried: Sequence[Outcome] | None = None) -> list[Finding]:
    """`secrets`: the names that are set on the target. `tried`: what relays said there; None tries them from here."""
    said = relays.from_here(spec) if tried is None else tried
    ours = [*_bot(spec), *_lint(spec), *_dependencies(spec)]
    return [*ours, *credentials(spec, secrets), *_region(spec), *_stun(spec), *relays.findings(said)]


def _bot(spec: Spec) -> list[Finding]:
    path = spec.root / spec.bot.entry
    try:
        tree = ast.parse(path.read_bytes(), path.name)
    except FileNotFoundError:
        return [
            Finding(
                "VD003",
                "error",
                "bot",
                f"{spec.bot.entry}: there is no such file",
                "set `bot.entry` in voicedeploy.toml",
            )
        ]
    except (OSError, SyntaxError, ValueError) as error:
        return [Finding("VD004", "error", "bot", f"{spec.bot.entry}: {error}", "correct the file")]
    defined = {node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef)}
    imported = {a.asname or a.name for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names}
    if "bot" in defined | imported:
        return [Finding("VD000", "ok", "bot", f"{spec.bot.entry}: async def bot(runner_args)")]
    return [
        Finding(
            "VD005",
            "error",
            "bot",
            f"{spec.bot.entry} has no `async def bot(runner_args)`",
            "see Pipecat's guide to the runner, or set `bot.entry`",
        )
    ]


def _lint(spec: Spec) -> list[Finding]:
    from voicedeploy.lint import lint  # not for the commands that only look

    return [
        Finding(
            fault.code,
            fault.severity,
            "packages" if fault.code == "VD161" else "bot",
            f"{fault.path}:{fault.line}  {fault.message}",
            fault.fix,
        )
        for fault in lint(spec.root, spec.bot.entry, spec.transport.kind)
    ]


def _dependencies(spec: Spec) -> list[Finding]:
    try:
        needs = project.dependencies(spec.root)
    except NotReady as error:
        return [Finding("VD006", "error", "packages", error.message, error.hint)]
    found = []
    if needs.source is not project.Source.UV_LOCK:
        found.append(
            Finding(
                "VD007", "warning", "packages",
                f"{needs.files[0]} without a lock file: each new environment may get other versions",
                "uv lock" if needs.source is project.Source.PYPROJECT else "pin exact versions in it",
            )
        )  # fmt: skip
    kind = spec.transport.kind
    missing, fix = packages.lacking(spec.root, needs, kind)
    if missing:
        said = f"transport `{kind}` needs {', '.join(missing)}, and {needs.files[-1]} does not bring it"
        found.append(Finding("VD008", "error", "packages", said, fix))
    return found or [Finding("VD000", "ok", "packages", "uv.lock")]


def credentials(spec: Spec, known: Collection[str]) -> list[Finding]:
    """`known`: the names that are set on the target."""
    return [*_missing(spec, known), *_conflicting(spec, known)]


def _conflicting(spec: Spec, known: Collection[str]) -> list[Finding]:
    """Pipecat refuses to choose between two kinds of credentials, in every call."""
    kind = spec.transport.kind
    about = transports.about(kind)
    both = sorted(set(about.excludes) & set(known))
    if not both:
        return []
    said = f"{', '.join(both)} beside {', '.join(about.secrets)}: with both, Pipecat ends every call of `{kind}`"
    return [Finding("VD174", "error", "secrets", said, f"voicedeploy secrets unset {' '.join(both)}")]


def _missing(spec: Spec, known: Collection[str]) -> list[Finding]:
    missing = sorted(set(transports.secrets(spec)) - set(known))
    if not missing:
        return []
    names = " ".join(missing)
    kind = spec.transport.kind
    its_own = set(missing) & set(transports.about(kind).secrets)
    said = f"not set: {', '.join(missing)}{f' (`{kind}` does not work without)' if its_own else ''}"
    return [Finding("VD010", "error", "secrets", said, f"voicedeploy secrets set {names}")]


def _region(spec: Spec) -> list[Finding]:
    about, region = transports.about(spec.transport.kind), spec.transport.region
    if region is None or not about.regions or region in about.regions:
        return []
    said = f"{about.bills} had no region {region} on {about.regions_date} ({about.regions_where})"
    fix = f"one of {', '.join(about.regions)}; without `transport.region`, the nearest to the bot is taken"
    return [Finding("VD221", "warning", "region", said, fix)]


def _stun(spec: Spec) -> list[Finding]:
    """The bot's answer waits 5 s for each STUN server that is silent, in every call."""
    found = []
    for server in spec.transport.ice_servers if receives_media(spec.transport.kind) else ():
        for url in server.urls:
            match = re.fullmatch(r"stun:(\[[^\]]+\]|[^:?]+)(?::(\d+))?(?:\?.*)?", url)
            if match and not answers(match[1].strip("[]"), int(match[2] or 3478), wait_s=2.0):
                found.append(
                    Finding(
                        "VD015", "warning", "stun", f"{url} does not answer: every call waits 5 s longer",
                        "take it out of `transport.ice_servers`; on this machine and its network none is needed",
                    )
                )  # fmt: skip
    return found
