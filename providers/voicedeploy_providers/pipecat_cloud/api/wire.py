"""Requests to Pipecat Cloud: what is its own in them."""

from voicedeploy.api import Faults
from voicedeploy_providers.pipecat_cloud.api.errors import Unanswered, refusal, unanswered, uncertain

FAULTS = Faults(
    refusal,
    unanswered,
    Unanswered,
    uncertain,
    frozenset({"secretValue", "body", "dailyMeetingTokenProperties", "token"}),
)
