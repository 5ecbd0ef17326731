"""How callers come to an agent over each transport, and whether one can be called from here."""

from voicedeploy.network import DialsOut, Transport, need
from voicedeploy.transports import carried
from voicedeploy.way import Way
from voicedeploy_providers.pipecat_cloud.api import AgentRecord, Places
from voicedeploy_providers.pipecat_cloud.options import Options

UNNAMED = "ORGANIZATION"
"""In what is shown where nobody knows the name."""

_COLD_S = 60.0
"""From nothing to a bot that answers; docs.pipecat.ai has 10 s at best, and a minute and more for big images."""


def in_room(transport: Transport) -> bool:
    return isinstance(need(transport), DialsOut)


def way(options: Options, places: Places, agent: AgentRecord, transport: Transport) -> Way:
    cold_s = 0.0 if agent.current_revision.ready_replicas > agent.active_session_count else _COLD_S
    if in_room(transport):
        return Way(transport.value, closed=_ROOM, hint=in_a_room(places, agent.name, transport))
    if not carried(transport):
        return Way(transport.value, cold_s=cold_s)
    organization = options.organization or agent.organization
    if not organization:
        return Way(transport.value, closed=_NOBODY, hint=_NAME_IT)
    stream, parameters = places.stream(agent.region, transport.value, agent.name, organization)
    hint = f"is {organization} the organization's name? {_NAME_IT}; {_GUARDED}"
    return Way(transport.value, stream, parameters, cold_s, hint=hint)


def led_to(places: Places, region: str, transport: Transport, agent: str, organization: str) -> str:
    """What a carrier is told for its calls."""
    return Way(transport.value, *places.stream(region, transport.value, agent, organization or UNNAMED)).told


def in_a_room(places: Places, agent: str, transport: Transport) -> str:
    if transport is Transport.DAILY:
        return f"POST {places.agent(agent)}/start with createDailyRoom, and call it in that room"
    return "call it yourself, in a room that it is told in `body`"


_ROOM = "the bot is in a room of the platform's, which nobody can hear from here"
_NOBODY = "carriers name the organization in each call, and nothing says what it is called"
_GUARDED = "an agent with websocket_auth = token lets no carrier in"
_NAME_IT = '`pipecat cloud organizations list` has it; [provider.pipecat-cloud] organization = "…"'
