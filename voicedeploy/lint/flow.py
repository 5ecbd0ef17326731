"""What `bot(runner_args)` does in a call by one transport, as far as its tests of `runner_args` decide it."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from voicedeploy.lint.bot import Bot
from voicedeploy.lint.module import Module
from voicedeploy.network import Transport

TYPES = "pipecat.runner.types"
_BASE = f"{TYPES}.RunnerArguments"
_WEBSOCKET = f"{TYPES}.WebSocketRunnerArguments"
ARGUMENTS = {
    Transport.WEBRTC: f"{TYPES}.SmallWebRTCRunnerArguments",
    Transport.DAILY: f"{TYPES}.DailyRunnerArguments",
    Transport.LIVEKIT: f"{TYPES}.LiveKitRunnerArguments",
    Transport.WEBSOCKET: _WEBSOCKET,
    Transport.TWILIO: _WEBSOCKET,
    Transport.TELNYX: _WEBSOCKET,
    Transport.PLIVO: _WEBSOCKET,
    Transport.EXOTEL: _WEBSOCKET,
}
_SWALLOWS = {"AttributeError", "Exception", "BaseException"}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Read:
    """`runner_args.webrtc_connection`, in a statement that every call by the transport comes to."""

    module: Module
    function: _Function
    statement: ast.stmt
    attribute: ast.Attribute
    arguments: str


class Flow:
    """`reads` are those of fields that other transports have; `dead` is what a call never comes to."""

    def __init__(self, bot: Bot) -> None:
        self.reads: list[Read] = []
        self._bot = bot
        self._dead: set[ast.AST] = set()
        self._cls = ARGUMENTS[bot.transport]
        common = bot.pipecat.fields(_BASE) or frozenset()
        self.fields = {cls: (bot.pipecat.fields(cls) or frozenset()) - common for cls in ARGUMENTS.values()}
        self._seen: set[tuple[ast.AST, str]] = set()
        entry = next(iter(bot.modules.values()), None)
        found = bot.definition(entry, ast.Name("bot", ast.Load())) if entry else None
        if found and isinstance(found[1], ast.FunctionDef | ast.AsyncFunctionDef):
            names = [a.arg for a in [*found[1].args.posonlyargs, *found[1].args.args]]
            if names:
                self._function(found[0], found[1], names[0])

    def is_dead(self, module: Module, node: ast.AST) -> bool:
        return bool(self._dead) and any(one in self._dead for one in [node, *module.above(node)])

    # --- statements ---------------------------------------------------------------------------------

    def _function(self, module: Module, function: _Function, name: str) -> None:
        if (function, name) not in self._seen and len(self._seen) < 100:
            self._seen.add((function, name))
            _Walk(self, module, function, name).block(function.body)

    def follow(self, module: Module, call: ast.Call, name: str) -> None:
        """Into a function of the project that is given the arguments."""
        positions = [i for i, arg in enumerate(call.args) if isinstance(arg, ast.Name) and arg.id == name]
        keywords = [k.arg for k in call.keywords if isinstance(k.value, ast.Name) and k.value.id == name and k.arg]
        found = self._bot.definition(module, call.func) if positions or keywords else None
        if found and isinstance(found[1], ast.FunctionDef | ast.AsyncFunctionDef):
            names = [a.arg for a in [*found[1].args.posonlyargs, *found[1].args.args]]
            keywords += [names[i] for i in positions if i < len(names)]
            for keyword in keywords:
                self._function(found[0], found[1], keyword)

    def bury(self, nodes: Sequence[ast.AST]) -> None:
        self._dead |= set(nodes)

    # --- tests --------------------------------------------------------------------------------------

    def truth(self, module: Module, test: ast.expr, name: str) -> bool | None:
        """What a test says in a call by the wanted transport; None where nobody can tell."""
        match test:
            case ast.Constant(value=value):
                return bool(value)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.truth(module, operand, name)
                return None if inner is None else not inner
            case ast.BoolOp(op=op, values=values):
                said = [self.truth(module, value, name) for value in values]
                decisive = isinstance(op, ast.Or)
                if decisive in said:
                    return decisive
                return None if None in said else not decisive
            case ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=subject), classes]) if subject == name:
                return self._is_one(module, classes)
            case ast.Call(func=ast.Name(id="hasattr"), args=[ast.Name(id=subject), ast.Constant(value=str(field))]):
                if subject == name and any(field in fields for fields in self.fields.values()):
                    return field in self.fields[self._cls]
        return None

    def _is_one(self, module: Module, classes: ast.expr) -> bool | None:
        if isinstance(classes, ast.BinOp) and isinstance(classes.op, ast.BitOr):
            parts = [self._is_one(module, classes.left), self._is_one(module, classes.right)]
        elif isinstance(classes, ast.Tuple):
            parts = [self._is_one(module, one) for one in classes.elts]
        else:
            named = self._bot.name(module, classes)
            return named in (self._cls, _BASE) if named.startswith(f"{TYPES}.") else None
        return True if True in parts else None if None in parts else False

    def matches(self, module: Module, pattern: ast.pattern) -> bool | None:
        match pattern:
            case ast.MatchClass(cls=cls, patterns=[], kwd_patterns=[]):
                return self._is_one(module, cls)
            case ast.MatchClass(cls=cls):
                return self._is_one(module, cls)
            case ast.MatchOr(patterns=patterns):
                said = [self.matches(module, one) for one in patterns]
                return True if True in said else None if None in said else False
            case ast.MatchAs(pattern=None):
                return True
            case ast.MatchAs(pattern=inner) if inner is not None:
                return self.matches(module, inner)
        return None

    def lacks(self, field: str) -> bool:
        """Whether a field is of other transports' arguments only."""
        return field not in self.fields[self._cls] and any(field in fields for fields in self.fields.values())


class _Walk:
    """Through one function, whose parameter `name` has the arguments."""

    def __init__(self, flow: Flow, module: Module, function: _Function, name: str) -> None:
        self._flow, self._module, self._function, self._name = flow, module, function, name

    def block(self, body: Sequence[ast.stmt]) -> bool:
        """Whether what follows the block is come to."""
        for number, statement in enumerate(body):
            if not self._statement(statement):
                self._flow.bury(body[number + 1 :])
                return False
        return True

    def _statement(self, node: ast.stmt) -> bool:
        match node:
            case ast.If(test=test, body=body, orelse=orelse):
                self._look(test, node)
                said = self._flow.truth(self._module, test, self._name)
                if said is None:
                    return True
                self._flow.bury(orelse if said else body)
                return self.block(body if said else orelse)
            case ast.Match(subject=ast.Name(id=subject), cases=cases) if subject == self._name:
                return self._cases(cases)
            case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final):
                if any(_swallows(handler) for handler in handlers):
                    return True
                return self.block(body) and self.block(orelse) and self.block(final)
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                for item in items:
                    self._look(item.context_expr, node)
                return self.block(body)
            case ast.Assert(test=test):
                self._look(test, node)
                return self._flow.truth(self._module, test, self._name) is not False
            case ast.Return() | ast.Raise():
                for child in ast.iter_child_nodes(node):
                    self._look(child, node)
                return False
            case ast.Expr() | ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                for child in ast.iter_child_nodes(node):
                    self._look(child, node)
        return True

    def _cases(self, cases: list[ast.match_case]) -> bool:
        for number, case in enumerate(cases):
            said = self._flow.matches(self._module, case.pattern)
            if said is None or (said and case.guard is not None):
                return True
            if said:
                self._flow.bury([stmt for other in cases[number + 1 :] for stmt in other.body])
                return self.block(case.body)
            self._flow.bury(case.body)
        return True

    def _look(self, node: ast.AST, statement: ast.stmt) -> None:
        """Reads in an expression that is surely evaluated."""
        match node:
            case ast.Lambda() | ast.GeneratorExp() | ast.ListComp() | ast.SetComp() | ast.DictComp():
                return
            case ast.IfExp(test=test, body=body, orelse=orelse):
                self._look(test, statement)
                said = self._flow.truth(self._module, test, self._name)
                if said is not None:
                    self._look(body if said else orelse, statement)
                return
            case ast.BoolOp(op=op, values=values):
                for value in values:
                    self._look(value, statement)
                    if self._flow.truth(self._module, value, self._name) is not isinstance(op, ast.And):
                        return
                return
            case ast.Attribute(value=ast.Name(id=name), attr=attr, ctx=ast.Load()) if name == self._name:
                if self._flow.lacks(attr):
                    self._flow.reads.append(Read(self._module, self._function, statement, node, name))
            case ast.Call():
                self._flow.follow(self._module, node, self._name)
        for child in ast.iter_child_nodes(node):
            self._look(child, statement)


def _swallows(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or any(
        isinstance(node, ast.Name) and node.id in _SWALLOWS for node in ast.walk(handler.type)
    )
