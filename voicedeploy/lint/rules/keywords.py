"""Keywords that a class of Pipecat does not have: dropped without a word, or refused when the bot runs."""

import ast
import difflib
from collections.abc import Iterator

from voicedeploy.lint.bot import Bot, Given, Made
from voicedeploy.lint.fault import Fault
from voicedeploy.lint.patches import Edit
from voicedeploy.lint.writing import renamed, without


def keywords(bot: Bot) -> Iterator[Fault]:
    seen: set[tuple[str, int, str]] = set()
    for made in bot.made:
        fields = bot.pipecat.fields(made.cls)
        if fields is None or made.derived:
            continue
        for given in made.given.found.values():
            once = bot.pipecat.once(made.cls, given.name)
            place = (given.module.path, given.at.lineno, given.name)
            if given.name in fields or place in seen or not (once or bot.knows_all):
                continue
            seen.add(place)
            lost = once.get("lost") or ("Pipecat drops it without a word" if bot.pipecat.drops(made.cls) else
                                        "the bot fails here with a TypeError")  # fmt: skip
            now = str(once.get("now", ""))
            near = difflib.get_close_matches(given.name, fields, 1)
            fix = str(once.get("fix") or (f"it is `{now}` now" if now else f"`{near[0]}`?" if near else "take it out"))
            yield Fault(
                "VD160", "error", given.module.path, given.at.lineno,
                f"{made.short} has no `{given.name}`: {lost}", fix, _patch(made, given, now, bool(once.get("dead"))),
            )  # fmt: skip


def _patch(made: Made, given: Given, now: str, dead: bool) -> str:
    edit: Edit | None = None
    if now:
        taken = now in made.given.found
        edit = without(made, given) if taken else renamed(given, now)
    elif dead and isinstance(given.value, ast.Constant) and given.value.value is True:
        edit = without(made, given)
    return given.module.patch(edit) if edit else ""
