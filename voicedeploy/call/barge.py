"""Barge-in: how long a bot goes on talking after its caller has begun to speak."""

from collections.abc import Sequence

BREATH_S = 0.5
"""Silence between words and sentences of one who has not given way."""
AFRESH_S = 0.2
"""After the caller has ended, sound after so much silence is the answer."""


def went_on(audible: Sequence[float], began: float, ended: float) -> float | None:
    """Seconds from the caller's first audible frame to the bot's last one before it gave way.

    `audible`: when each of the bot's audible packets was heard, in order. `began`, `ended`: the caller's first and
    last audible frame. None: the bot was silent when the caller began, so that there was nothing to interrupt. A bot
    that had nothing more to say just then looks as if it had given way.
    """
    before = [at for at in audible if at <= began]
    if not before or began - before[-1] > BREATH_S:
        return None
    last = before[-1]
    for at in (at for at in audible if at > began):
        if at - last > (BREATH_S if at <= ended else AFRESH_S):
            break
        last = at
    return last - began if last > began else None
