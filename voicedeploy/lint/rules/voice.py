"""Whether anything hears that the caller speaks."""

import ast
from collections.abc import Iterator

from voicedeploy.lint.bot import Bot
from voicedeploy.lint.fault import Fault

_USERS = {
    "pipecat.processors.aggregators.llm_response_universal.LLMContextAggregatorPair",
    "pipecat.processors.aggregators.llm_response_universal.LLMUserAggregator",
}
# What decides on turns without our listening for pauses: realtime models, and speech-to-text that does it itself.
_OTHERS = ("VAD", "ExternalUserTurn", "EagerUserTurn", "Realtime", "Live", "NovaSonic", "Ultravox", "UserTurnProcessor")


def voice(bot: Bot) -> Iterator[Fault]:
    made = [one for one in bot.made if one.cls in _USERS]
    if not made or _hears(bot):
        return
    if all(one.given.complete for one in made):
        yield Fault(
            "VD169", "warning", made[0].module.path, made[0].call.lineno,
            "nothing listens for pauses (no `vad_analyzer`): turns end late or never, and nobody can interrupt",
            "user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())",
        )  # fmt: skip


def _hears(bot: Bot) -> bool:
    """Wherever something is used, given or named that could do it."""
    for one in bot.made:
        heard = bot.pipecat.speech_to_text(one.cls)
        if (heard and heard["turns"]) or any(part in one.short for part in _OTHERS):
            return True
        if one.short == "LLMUserAggregatorParams" and (not one.given.complete or "vad_analyzer" in one.given.found):
            return True
    return any(
        isinstance(node, ast.Attribute) and node.attr == "vad_analyzer"
        for m in bot.modules.values()
        for node in m.nodes
    )
