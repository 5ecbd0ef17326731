"""What can stand in the way at Pipecat Cloud, seen before anything is done."""

from collections.abc import Collection
from dataclasses import dataclass

from voicedeploy import readiness
from voicedeploy.provider import Finding
from voicedeploy.spec import Spec
from voicedeploy.transports import carried
from voicedeploy_providers.pipecat_cloud.api import PipecatCloud
from voicedeploy_providers.pipecat_cloud.distance import nearer, round_trips
from voicedeploy_providers.pipecat_cloud.lowering import Lowered
from voicedeploy_providers.pipecat_cloud.profiles import MINUTES_A_DAY, MOST_AGENTS, PROFILES, SESSION_S
from voicedeploy_providers.pipecat_cloud.ways import in_a_room, in_room, led_to


@dataclass(frozen=True)
class Known:
    """What is known before: `secrets` that are set, the `organization`'s name or "", whether the spec has `chosen` the
    region, and whether to look `closely`, which takes a second or two."""

    secrets: Collection[str]
    organization: str = ""
    chosen: bool = False
    closely: bool = False


def findings(lowered: Lowered, api: PipecatCloud, known: Known) -> list[Finding]:
    spec = lowered.spec
    return [
        *_size(lowered), *_region(lowered, api, known), *_session(spec), _context(lowered),
        *_way_in(lowered, api, known.organization), *readiness.findings(spec, known.secrets),
    ]  # fmt: skip


def _size(lowered: Lowered) -> list[Finding]:
    spec, recipe = lowered.spec, lowered.recipe
    found = []
    if not PROFILES[recipe.profile].carries(spec.session):
        enough = next((p.name for p in PROFILES.values() if p.carries(spec.session)), "")
        fix = f'[provider.pipecat-cloud] profile = "{enough}"' if enough else "lower session.cpu or session.memory"
        call = f"{spec.session.cpu:g} cores and {spec.session.memory / 2**30:g} GiB"
        said = f"a call takes {call}, and {recipe.profile} has less"
        found.append(Finding("VD421", "error", "size", said, fix))
    if spec.pool.max > MOST_AGENTS:
        said = f"pool.max = {spec.pool.max}, and the platform runs {MOST_AGENTS} agents of a name"
        found.append(Finding("VD422", "error", "size", said, f"pool.max = {MOST_AGENTS}, or ask the vendor for more"))
    if not found:
        kept = spec.pool.min
        cost = f"{kept} kept ready: {kept * MINUTES_A_DAY} reserved minutes a day, calls or none" if kept else _COLD
        found.append(Finding("VD000", "ok", "size", f"up to {spec.pool.max} × {recipe.profile}; {cost}"))
    return found


_COLD = "none is kept ready, which costs nothing; the first call waits ten seconds and more"


def _region(lowered: Lowered, api: PipecatCloud, known: Known) -> list[Finding]:
    there = {region.code: region.display_name for region in api.platform.regions()}
    region = lowered.recipe.region
    if region not in there:
        said = f"Pipecat Cloud has no region {region}"
        return [Finding("VD423", "error", "region", said, f"one of {', '.join(sorted(there))}")]
    said = f"{region}, {there[region]}"
    if not known.closely:
        return [Finding("VD000", "ok", "region", said)]
    trips = round_trips(api.places, [region, *(code for code in there if code != region)])
    here, *others = (f"{code} {_told(ms)}" for code, ms in trips.items())
    found = [Finding("VD000", "ok", "region", f"{said}; there and back from here: {', '.join((here, *others))}")]
    nearest = nearer(region, trips)
    if nearest and not known.chosen:
        said = f"{nearest} is nearer than the organization's own: {_told(trips[nearest])}, and {_told(trips[region])}"
        found.append(Finding("VD426", "warning", "region", said, _CHOOSE.format(nearest, region)))
    return found


def _told(ms: float | None) -> str:
    return "no answer" if ms is None else f"{ms:.0f} ms"


_CHOOSE = '[provider.pipecat-cloud] region = "{0}", or "{1}" if callers are there; an agent moves by `down`, then `up`'


def _session(spec: Spec) -> list[Finding]:
    shortest, longest = SESSION_S
    if shortest <= spec.session.max_duration <= longest:
        return []
    said = f"session.max_duration is {spec.session.max_duration} s, and a session has {shortest} to {longest} s"
    return [Finding("VD424", "error", "session", said, f'session.max_duration = "{longest}s" at most')]


def _way_in(lowered: Lowered, api: PipecatCloud, organization: str) -> list[Finding]:
    """Where callers are led to, and where no call from here can prove the bot."""
    kind = lowered.spec.transport.kind
    if in_room(kind):
        said = f"`up` cannot call the bot over {kind} there: it ends with the platform's word that it is ready"
        return [Finding("VD425", "warning", "proof", said, in_a_room(api.places, lowered.agent, kind))]
    if carried(kind):
        where = led_to(api.places, lowered.recipe.region, kind, lowered.agent, organization)
        return [Finding("VD000", "ok", "way in", f"{kind} brings calls to {where}")]
    return []


def _context(lowered: Lowered) -> Finding:
    return Finding("VD000", "ok", "image", f"built in the cloud of {lowered.context().told}")
