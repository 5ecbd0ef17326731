"""The steps by which a generation of machines takes over from another, each a request that can be read."""

from secrets import token_urlsafe

from voicedeploy.deployment import Deployment
from voicedeploy.plan import Call, Command, Door, Prove, Remove, Step, Stop, Write
from voicedeploy_providers.fly import udp
from voicedeploy_providers.fly.generation import KEY, LIVE, MARK, PYTHON, SOCKET, Generation
from voicedeploy_providers.fly.seen import Seen, released
from voicedeploy_providers.fly.sizes import AS_OF
from voicedeploy_providers.fly.target import MACHINE

_READY_S = 300.0
"""A machine that is new in its region fetches the image first."""
_UNDO_S = 120.0
_UNUSED_S = 3600.0
"""Nobody should have been sent to a machine that was never live; if somebody was all the same, it is waited for."""


def api(app: str, *more: str) -> str:
    return "/".join(("fly:/apps", app, *more))


def machine(app: str, name: str, *more: str) -> str:
    return api(app, "machines", name, *more)


def app(name: str, org: str, seen: Seen, *, dedicated: bool) -> list[Step]:
    """`dedicated`: with an address of its own, which costs money from the moment it is there."""
    steps = []
    if seen.app is None:
        made = Call("POST", "fly:/apps", body={"app_name": name, "org_slug": org})
        steps.append(Step("+", "app", f"{name} of {org}", made, undo=Call("DELETE", api(name))))
    have = {ip.kind for ip in seen.ips}
    if udp.KIND not in have:
        kind = udp.KIND if dedicated else "shared_v4"
        if kind not in have:
            steps.append(address(name, kind))
    if "v6" not in have:
        steps.append(address(name, "v6"))
    if KEY not in {secret.name for secret in seen.secrets}:
        key = Write(api(name, "secrets", KEY), token_urlsafe(32).encode(), secret=True)
        steps.append(Step("+", "key", "made for this bot", key))
    return steps


def address(app: str, kind: str) -> Step:
    assign = Call("POST", api(app, "ip_assignments"), body={"type": kind})
    if kind != udp.KIND:
        return Step("+", "address", kind, assign)
    back = Remove((api(app, "ip_assignments", kind),))
    return Step("+", "address", f"{kind}, dedicated, {udp.COST} as of {AS_OF}", assign, undo=back)


def addresses(app: str, seen: Seen) -> list[Step]:
    """What costs money goes by itself, and not only with the app."""
    return [
        Step("-", "address", f"{ip.ip}, {udp.COST}", Remove((api(app, "ip_assignments", ip.ip),)))
        for ip in seen.ips
        if ip.kind == udp.KIND
    ]


def secrets(app: str, release: str, seen: Seen) -> list[Step]:
    """Machines that are made now start with what was set before, however far behind Fly's hosts are."""
    if not any(secret.name == KEY for secret in seen.secrets):
        return []
    mark = Write(api(app, "secrets", MARK), release.encode(), secret=True)
    return [Step("~", "secrets", "as they are now, for the new machines", mark)]


def by_turns(regions: tuple[str, ...], number: int) -> tuple[str, ...]:
    """Those that a machine may be made in, when machines are spread: its own first, then the next in the list."""
    first = number % len(regions)
    return regions[first:] + regions[:first]


def machines(made: Generation, record: Deployment, image: str, regions: tuple[str, ...], seen: Seen) -> list[Step]:
    """Those of the release that are not there yet. Nobody is sent to them."""
    all_names = made.names(record.release)
    there = {m.name for m in seen.of(record.release)}
    names = [name for name in all_names if name not in there]
    ports = udp.free(udp.taken(seen.everybody), len(names), made.slots) if made.udp else ("",) * len(names)
    steps = []
    for name, own in zip(names, ports, strict=True):
        config = made.config(record, image, own).wire()
        mine = by_turns(regions, all_names.index(name)) if made.options.spread else regions
        body = {"name": name, "regions": list(mine), "config": config}
        calls = f"{made.slots} calls{f' at UDP {own}' if own else ''}"
        at = f" in {mine[0]}" if made.options.spread else ""
        said = f"{name}{at}, {made.size.name}, {calls}, ${made.size.usd_per_day:.2f} a day"
        create = Call("POST", api(made.app, "machines"), body=body)
        steps.append(Step("+", "machine", said, create, undo=Stop(f"{MACHINE}{name}", _UNDO_S)))
    return steps


def start(app: str, names: tuple[str, ...], seen: Seen, proved: str) -> list[Step]:
    """Until each has answered, and one of them a call that was made on it. `proved`: what that shows."""
    there = {m.name: m for m in seen.machines}
    steps = []
    for name in names:
        known = there.get(name)
        if known is not None and known.state in ("stopped", "suspended", "created", "failed"):
            steps.append(Step("+", "start", name, Call("POST", machine(app, name, "start"))))
    for name in names:
        ready = Call("GET", "http://front/readyz", f"{name}:{SOCKET}", wait_s=_READY_S, log=name)
        steps.append(Step("✓", "ready", f"the bot is loaded on {name}", ready))
    proof = Command((PYTHON, "-I", "-m", "voicedeploy.call.proof", SOCKET), cwd=f"{MACHINE}{names[0]}")
    steps.append(
        Step("✓", proved, "one real call, before it gets traffic", Prove(Door("http://front/", SOCKET), proof))
    )
    return steps


def traffic(app: str, names: tuple[str, ...], seen: Seen) -> list[Step]:
    """From the first of them on nothing is taken back: somebody may talk there."""
    live = {m.name for m in seen.live}
    steps = []
    for name in names:
        if name in live:
            continue
        opened = Call("POST", machine(app, name, "uncordon"))
        steps.append(Step("~", "traffic", f"new calls to {name}", opened, commits=True))
    for name in names:
        if name not in live:
            note = Call("PATCH", machine(app, name, "metadata"), body={LIVE: "1"})
            steps.append(Step("+", "record", f"{name} is live", note, commits=True))
    return steps


def retire(app: str, release: str, seen: Seen) -> list[Step]:
    """Older machines take no new calls; each stops by itself when its last call has ended."""
    steps = []
    for old in seen.machines:
        if released(old) == release:
            continue
        front = seen.front(old)
        if old.metadata.get(LIVE) == "1":
            steps.append(
                Step(
                    "+",
                    "record",
                    f"{old.name} is not",
                    Call("PATCH", machine(app, old.name, "metadata"), body={LIVE: "0"}),
                )
            )
        used = old.metadata.get(LIVE) or front.sessions
        if used and front.answers and not front.draining:
            calls = f"{front.sessions} calls end in their own time" if front.sessions else "no calls"
            drain = Call("POST", "http://front/drain", f"{old.name}:{SOCKET}", {})
            steps.append(Step("-", "machine", f"{old.name} drains, {calls}", drain))
    return steps


def prune(app: str, release: str, seen: Seen, keep: int) -> list[Step]:
    """What nobody can want any more: what was never live, and older releases beyond `keep`, once they have stopped."""
    older = [r for r in seen.releases if r != release]
    kept = [r for r in older if any(m.metadata.get(LIVE) for m in seen.of(r))][:keep]
    steps = []
    for old in (m for r in older if r not in kept for m in seen.of(r)):
        if old.state in ("stopped", "failed", "created", "suspended"):
            gone = Remove((machine(app, old.name),))
            steps.append(Step("-", "machine", f"{old.name} of an older release", gone))
        elif not old.metadata.get(LIVE) and not seen.front(old).sessions:
            # An `up` that ended in the middle may have let callers in without saying so.
            gone_when_empty = Stop(f"{MACHINE}{old.name}", _UNUSED_S)
            steps.append(Step("-", "machine", f"{old.name}, which was never live", gone_when_empty))
    return steps
