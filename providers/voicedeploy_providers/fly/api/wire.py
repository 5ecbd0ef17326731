"""Requests to Fly: what is Fly's own in them."""

from voicedeploy.api import Faults
from voicedeploy_providers.fly.api.errors import Unanswered, refusal, unanswered, uncertain

FAULTS = Faults(refusal, unanswered, Unanswered, uncertain, frozenset({"values", "value", "env", "raw_value", "stdin"}))


def held(nonce: str) -> dict[str, str]:
    """The header by which a request is that of the lease's holder; none where no lease is held."""
    return {"fly-machine-lease-nonce": nonce} if nonce else {}
