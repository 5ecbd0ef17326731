"""A link that lets somebody in: the bot's address with an invite behind `#`, which no server ever sees."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voicedeploy.plan import Door

HOUR_S = 3600


def link(door: "Door", ttl_s: int) -> str:
    """Good for `ttl_s` seconds, for as many calls as the front's limits allow. The address as it is where no key is
    needed."""
    if not door.key or not door.url.startswith("https:"):
        return door.url
    from voicedeploy.serve.tokens import Tokens

    return f"{door.url}#invite={Tokens(door.key).mint('invite', ttl_s)}"
