"""What is wrong with a bot's own code, read and never run.

Parameters that Pipecat drops without a word, names it has no more, what keeps the bot from another transport, and what
makes every answer late.

What cannot be known by reading is not reported.
"""

import warnings
from dataclasses import replace
from pathlib import Path

from voicedeploy.lint.bot import Bot
from voicedeploy.lint.fault import Fault
from voicedeploy.lint.flow import Flow
from voicedeploy.lint.packages import Asked, asked
from voicedeploy.lint.patches import apply
from voicedeploy.lint.pipecat import Pipecat, pipecat
from voicedeploy.lint.rules.arguments import arguments
from voicedeploy.lint.rules.deprecated import deprecated
from voicedeploy.lint.rules.imports import imports
from voicedeploy.lint.rules.keywords import keywords
from voicedeploy.lint.rules.latency import latency
from voicedeploy.lint.rules.rates import rates
from voicedeploy.lint.rules.surroundings import surroundings
from voicedeploy.lint.rules.transports import transports
from voicedeploy.lint.rules.voice import voice
from voicedeploy.network import Transport

__all__ = ["Fault", "apply", "lint"]


def lint(root: Path, entry: str, transport: Transport) -> tuple[Fault, ...]:
    """The faults of the bot in `root / entry` and of the project's files that it imports, for calls by `transport`.

    Errors first, then as they stand in the files. A file that is no Python has no faults here.
    """
    known, wanted = pipecat(), asked(root, pipecat().version)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Python says about somebody's string literals
        bot = Bot(root, entry, transport, known, wanted.version)
        flow = Flow(bot)
        found = [*wanted.faults, *transports(bot, flow), *arguments(bot, flow), *surroundings(bot)]
        if bot.writes_for_release:
            found += [*imports(bot), *keywords(bot), *deprecated(bot), *rates(bot), *latency(bot, flow), *voice(bot)]
    order = {path: number for number, path in enumerate(bot.modules)}
    said = dict.fromkeys(_dated(fault, known, wanted) for fault in found)
    return tuple(sorted(said, key=lambda f: (f.severity, order.get(f.path, -1), f.line, f.code)))


def _dated(fault: Fault, known: Pipecat, wanted: Asked) -> Fault:
    """With the versions, where the project's Pipecat is not the one that the rules were written for."""
    if wanted.version in (None, known.version) or fault.code in ("VD161", "VD168"):
        return fault
    said = f"{fault.message} (rules of Pipecat {known.version}, {wanted.source} has {wanted.version})"
    return replace(fault, message=said)
