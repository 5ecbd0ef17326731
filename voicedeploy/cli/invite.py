"""A link that lets somebody in: the bot's address with an invite behind `#`, which no server ever sees."""

from typing import TYPE_CHECKING

from voicedeploy.errors import UsageError

if TYPE_CHECKING:
    from voicedeploy.plan import Door

HOUR_S = 3600


def link(door: "Door", ttl_s: int) -> str:
    """Good for `ttl_s` seconds, for as many calls as the front's limits allow. The address as it is where no key is
    needed; `UsageError` where nobody can open it."""
    if not door.page:
        raise UsageError(
            f"{door.url} has no page to open, and no invites",
            hint="your page or app starts calls there, with its own key",
        )
    if not door.key or not door.url.startswith("https:"):
        return door.url
    from voicedeploy.serve.tokens import Tokens

    return f"{door.url}#invite={Tokens(door.key).mint('invite', ttl_s)}"
