"""What the bot gives to `create_transport` for the transport that is wanted."""

import ast
from collections.abc import Iterator

from voicedeploy.lint.bot import Bot, Entries, Given, Made
from voicedeploy.lint.fault import Fault
from voicedeploy.lint.flow import Flow
from voicedeploy.lint.module import Module
from voicedeploy.lint.patches import Edit
from voicedeploy.lint.writing import with_keywords
from voicedeploy.network import Transport

CREATE = "pipecat.runner.utils.create_transport"
_FASTAPI = "pipecat.transports.websocket.fastapi.FastAPIWebsocketParams"
_PROTOBUF = "pipecat.serializers.protobuf.ProtobufFrameSerializer"
PARAMS = {
    Transport.WEBRTC: "pipecat.transports.base_transport.TransportParams",
    Transport.DAILY: "pipecat.transports.daily.transport.DailyParams",
    Transport.LIVEKIT: "pipecat.transports.livekit.transport.LiveKitParams",
    Transport.WEBSOCKET: _FASTAPI,
    Transport.TWILIO: _FASTAPI,
    Transport.TELNYX: _FASTAPI,
    Transport.PLIVO: _FASTAPI,
    Transport.EXOTEL: _FASTAPI,
}
_PHONE = (Transport.TWILIO, Transport.TELNYX, Transport.PLIVO, Transport.EXOTEL)
_AUDIO = ("audio_in_enabled", "audio_out_enabled")


def transports(bot: Bot, flow: Flow) -> Iterator[Fault]:
    calls = list(_creations(bot, flow))
    for module, call, entries in calls:
        if bot.transport.value not in entries.found and entries.complete:
            yield _missing(bot, module, call, entries)
    for made in wanted(bot, flow):
        yield from _silent(bot, made)
        if calls:
            yield from _unfit(bot, made)


def wanted(bot: Bot, flow: Flow) -> list[Made]:
    """The parameters that the wanted transport is made with; all there are, where no key says which these are."""
    calls = list(_creations(bot, flow))
    if not calls:
        family = [made for made in bot.made if bot.pipecat.is_transport_params(made.cls) and not made.derived]
        return [made for made in family if not flow.is_dead(made.module, made.call)]
    found: list[Made] = []
    for _, _, entries in calls:
        given = entries.found.get(bot.transport.value)
        for module, result in _made_by(bot, given.module, given.value) if given else ():
            one = bot.object(module, result)
            if one and bot.pipecat.is_transport_params(one.cls) and not one.derived:
                found.append(one)
    return found


def _made_by(bot: Bot, module: Module, value: ast.expr) -> list[tuple[Module, ast.expr]]:
    """What calling the entry of a key makes: it is a lambda, a function, a `partial`."""
    if isinstance(value, ast.Call) and bot.name(module, value.func) == "functools.partial":
        return [(module, value)]
    return bot.results(module, value)


def _creations(bot: Bot, flow: Flow) -> Iterator[tuple[Module, ast.Call, Entries]]:
    for module in bot.modules.values():
        for node in module.nodes:
            if isinstance(node, ast.Call) and bot.name(module, node.func) == CREATE:
                if flow.is_dead(module, node):
                    continue
                given = node.args[1] if len(node.args) > 1 else None
                named = next((k.value for k in node.keywords if k.arg == "transport_params"), given)
                yield module, node, _entries(bot, module, node, named)


def _entries(bot: Bot, module: Module, call: ast.Call, given: ast.expr | None) -> Entries:
    """The dictionary, also one that is built up: `params = {…}`, then `params["daily"] = …`."""
    entries = bot.entries(module, given)
    if entries.complete or not isinstance(given, ast.Name):
        return entries
    for up in module.above(call):
        if isinstance(up, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            inside = [n for n in ast.walk(up) if isinstance(n, ast.Assign | ast.AnnAssign)]
            for node in inside:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if [ast.unparse(t) for t in targets] == [given.id]:
                    entries = Entries((bot.entries(module, node.value)).found | entries.found, complete=False)
    return entries


# --- a key that is not there ------------------------------------------------------------------------


def _missing(bot: Bot, module: Module, call: ast.Call, entries: Entries) -> Fault:
    key = bot.transport.value
    have = ", ".join(f"`{name}`" for name in entries.found) or "none"
    owner, node = _dictionary(bot, module, call) or (module, None)
    return Fault(
        "VD211", "error", owner.path, node.lineno if node else call.lineno,
        f"`create_transport` is given no parameters for `{key}` (only {have}): every call fails",
        f'"{key}": lambda: {_construction(bot.transport)}', _with_key(bot, owner, node, entries) if node else "",
    )  # fmt: skip


def _construction(transport: Transport) -> str:
    name = PARAMS[transport].rpartition(".")[2]
    serializer = "serializer=ProtobufFrameSerializer(), " if transport is Transport.WEBSOCKET else ""
    return f"{name}({serializer}audio_in_enabled=True, audio_out_enabled=True)"


def _with_key(bot: Bot, owner: Module, node: ast.Dict, entries: Entries) -> str:
    """The dictionary with the key, whose parameters are imported only when a call comes in by that transport."""
    if not bot.writes_for_release:
        return ""
    alike = next((given for key in _PHONE if (given := entries.found.get(key.value)) and _fits(bot, given)), None)
    if bot.transport in _PHONE and alike and alike.module is owner:
        return owner.patch(*_entry(owner, node, f'"{bot.transport.value}": {owner.source(alike.value)}'))
    made, name = maker(bot, owner, node)
    return owner.patch(made, *_entry(owner, node, f'"{bot.transport.value}": {name}'))


def _fits(bot: Bot, given: Given) -> bool:
    """Whether the entry of another carrier does for the wanted one."""
    made = [bot.object(module, result) for module, result in _made_by(bot, given.module, given.value)]
    return bool(made) and all(one and PARAMS[bot.transport] in bot.pipecat.line(one.cls) for one in made)


def maker(bot: Bot, module: Module, before: ast.AST) -> tuple[Edit, str]:
    """A function that makes the wanted transport's parameters, and its name."""
    names = {n.id for n in module.nodes if isinstance(n, ast.Name)} | set(module.names) | set(module.ours)
    names |= {n.name for n in module.nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    name = f"{bot.transport.value}_params"
    while name in names:
        name += "_"
    lines = [f"def {name}():"]
    for origin in ([_PROTOBUF] if bot.transport is Transport.WEBSOCKET else []) + [PARAMS[bot.transport]]:
        home, _, cls = origin.rpartition(".")
        lines.append(f"    from {home} import {cls}")
    lines += ["", f"    return {_construction(bot.transport)}", "", "", ""]
    at = module.line_start(_top(module, before))
    return Edit(at, at, module.newline.join(lines)), name


def _dictionary(bot: Bot, module: Module, call: ast.Call) -> tuple[Module, ast.Dict] | None:
    """The dictionary's own text, in whichever file."""
    value = next((k.value for k in call.keywords if k.arg == "transport_params"), None)
    value = value or (call.args[1] if len(call.args) > 1 else None)
    for _ in range(6):
        if isinstance(value, ast.Dict):
            return module, value
        if isinstance(value, ast.Call):
            results = bot.results(module, value.func)
            if len(results) != 1:
                return None
            module, value = results[0]
            continue
        there = bot.ours(module, value)
        if there is None or not there[1]:
            return None
        module, value = there[0], there[0].value(there[1])
    return None


def _entry(module: Module, node: ast.Dict, text: str) -> tuple[Edit, ...]:
    """The dictionary with one more entry, on a line of its own where the others are."""
    start, end = module.span(node)
    if not node.values:
        return (Edit(start + 1, end - 1, text),)
    last = module.span(node.values[-1])[1]
    rest = module.text[last : end - 1]
    code = "".join(line.partition("#")[0] for line in rest.splitlines()).strip()
    if code not in ("", ",", ")", "),"):
        return ()
    if code.startswith(")"):
        last += rest.index(")") + 1
        rest = module.text[last : end - 1]
    comma = rest.partition("#")[0].find(",")
    first = node.keys[-1] or node.values[-1]
    line = module.line_start(first.lineno)
    indent = module.text[line : module.span(first)[0]]
    if "\n" in rest and (not indent.strip() or indent.strip() == "**"):
        indent = indent[: len(indent) - len(indent.lstrip())]
        if comma >= 0:
            at = module.text.find("\n", last) + 1
            return (Edit(at, at, f"{indent}{text},{module.newline}"),)
        return (Edit(last, last, f",{module.newline}{indent}{text},"),)
    at = last + comma + 1 if comma >= 0 else last
    return (Edit(at, at, f" {text}" if comma >= 0 else f", {text}"),)


def _top(module: Module, node: ast.AST) -> int:
    """The first line of the statement of the file's top level that holds the node."""
    chain: list[ast.AST] = [node, *module.above(node)]
    statement = chain[-2]
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min(one.lineno for one in [*decorators, statement] if isinstance(one, ast.expr | ast.stmt))


# --- parameters that do not do ----------------------------------------------------------------------


def _silent(bot: Bot, made: Made) -> Iterator[Fault]:
    found = made.given.found
    on = [found[n] for n in _AUDIO if n in found]
    if made.given.complete and all(bot.constant(one.module, one.value) is False for one in on):
        both = "audio_in_enabled=True, audio_out_enabled=True"
        edit = None if made.call.args else with_keywords(made.module, made.call, both)
        yield Fault(
            "VD163", "error", made.module.path, made.call.lineno,
            f"{made.short} enables no sound: the bot hears nothing and says nothing", both,
            made.module.patch(edit) if edit else "",
        )  # fmt: skip


def _unfit(bot: Bot, made: Made) -> Iterator[Fault]:
    needed = PARAMS[bot.transport]
    name = needed.rpartition(".")[2]
    if needed not in bot.pipecat.line(made.cls):
        yield Fault(
            "VD212", "error", made.module.path, made.call.lineno,
            f"`{bot.transport.value}` is given {made.short}, and every call fails: it needs {name}",
            f"from {needed.rpartition('.')[0]} import {name}",
        )  # fmt: skip
    elif bot.transport is Transport.WEBSOCKET and made.given.complete and "serializer" not in made.given.found:
        yield Fault(
            "VD212", "error", made.module.path, made.call.lineno,
            f"{made.short} has no serializer: over a plain WebSocket the bot hears nothing and says nothing",
            f"serializer=ProtobufFrameSerializer(), from {_PROTOBUF.rpartition('.')[0]}",
        )  # fmt: skip
