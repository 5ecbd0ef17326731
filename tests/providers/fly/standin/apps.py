"""Apps, their addresses, secrets and certificates; regions and room in them."""

from typing import Any

from starlette.routing import Route

from tests.providers.fly.standin.door import Answer, Ask, Door
from tests.providers.fly.standin.udp import Forwarder
from tests.providers.fly.standin.world import App, Refusal, Secret, World, fresh_id

REGIONS = (
    *("ams", "arn", "bom", "cdg", "dfw", "ewr", "fra", "gru", "iad"),
    *("jnb", "lax", "lhr", "nrt", "ord", "sin", "sjc", "syd", "yyz"),
)
_ALIASES: dict[str, tuple[str, ...]] = {
    "eu": ("ams", "arn", "cdg", "fra", "lhr"),
    "na": ("dfw", "ewr", "iad", "lax", "ord", "sjc", "yyz"),
    "any": REGIONS,
}


class Apps:
    def __init__(self, world: World, udp: Forwarder) -> None:
        self._world = world
        self._udp = udp

    def routes(self, door: Door) -> list[Route]:
        app = "/apps/{app}"
        return [
            door.route("GET", "/apps", "app.list", self.list),
            door.route("POST", "/apps", "app.create", self.create),
            door.route("GET", app, "app.get", self.get),
            door.route("DELETE", app, "app.delete", self.delete),
            door.route("GET", f"{app}/ip_assignments", "ip.list", self.ips),
            door.route("POST", f"{app}/ip_assignments", "ip.assign", self.assign),
            door.route("DELETE", f"{app}/ip_assignments/{{ip}}", "ip.release", self.release),
            door.route("GET", f"{app}/secrets", "secrets.list", self.secrets),
            door.route("POST", f"{app}/secrets", "secrets.set", self.set),
            door.route("DELETE", f"{app}/secrets/{{secret}}", "secrets.unset", self.unset),
            door.route("POST", f"{app}/certificates/acme", "certificate.request", self.certify),
            door.route("GET", f"{app}/certificates/{{host}}", "certificate.get", self.certificate),
            door.route("DELETE", f"{app}/certificates/{{host}}", "certificate.remove", self.uncertify),
            door.route("GET", "/platform/regions", "platform.regions", self.regions),
            door.route("POST", "/platform/placements", "platform.placements", self.placements),
        ]

    async def list(self, ask: Ask) -> Answer:
        found = [_shown(app) for app in self._world.apps.values() if app.org == ask.org == ask.query["org_slug"]]
        return 200, {"apps": found, "total_apps": len(found)}

    async def create(self, ask: Ask) -> Answer:
        name = ask.body.get("name") or ask.body.get("app_name") or ""
        if not name:
            raise Refusal(400, "name is required")
        if ask.body["org_slug"] != ask.org:
            raise Refusal(403, "not authorized for this organization")
        if name in self._world.apps:
            raise Refusal(422, "Validation failed: Name has already been taken", "name_taken")
        self._world.apps[name] = App(name, ask.org, fresh_id())
        return 201, None

    async def get(self, ask: Ask) -> Answer:
        return 200, _shown(self._app(ask))

    async def delete(self, ask: Ask) -> Answer:
        app = self._app(ask)
        if any(app.alive()) and ask.query.get("force") != "true":
            raise Refusal(412, "failed_precondition: the app still has machines")
        for machine in list(app.alive()):
            await machine.destroy()
        del self._world.apps[app.name]
        await self._udp.settle()
        return 202, None

    # --- addresses ----------------------------------------------------------------------------------

    async def ips(self, ask: Ask) -> Answer:
        return 200, {"ips": self._app(ask).ips}

    async def assign(self, ask: Ask) -> Answer:
        app, kind = self._app(ask), ask.body.get("type", "")
        number = self._world.number()
        match kind:
            case "v4":
                ip = self._world.public_v4()
            case "shared_v4":
                ip = "66.241.124.1"
            case "v6":
                ip = f"2a09:8280:1::{number:x}:0"
            case _:
                ip = f"fdaa:0:1:0:1::{number:x}"
        given = {
            "ip": ip,
            "region": ask.body.get("region") or "global",
            "service_name": "",
            "shared": kind == "shared_v4",
            "created_at": self._world.now(),
        }
        app.ips.append(given)
        await self._udp.settle()
        return 200, given

    async def release(self, ask: Ask) -> Answer:
        app = self._app(ask)
        kept = [ip for ip in app.ips if ip["ip"] != ask.path["ip"]]
        if len(kept) == len(app.ips):
            raise Refusal(404, "IP address not found")
        app.ips = kept
        await self._udp.settle()
        return 204, None

    # --- secrets ------------------------------------------------------------------------------------

    async def secrets(self, ask: Ask) -> Answer:
        return 200, {"secrets": _secrets(self._app(ask))}

    async def set(self, ask: Ask) -> Answer:
        app, now = self._app(ask), self._world.now()
        for name, value in ask.body["values"].items():
            before = app.secrets.get(name)
            app.secrets[name] = Secret(value, before.created_at if before else now, now)
        return 200, {"version": self._next(app), "secrets": _secrets(app)}

    async def unset(self, ask: Ask) -> Answer:
        app = self._app(ask)
        if app.secrets.pop(ask.path["secret"], None) is None:
            raise Refusal(404, "secret not found")
        return 200, {"version": self._next(app)}

    def _next(self, app: App) -> int:
        values = {name: secret.value for name, secret in app.secrets.items()}
        app.secret_versions.append((self._world.clock.monotonic(), values))
        return len(app.secret_versions)

    # --- certificates, regions ----------------------------------------------------------------------

    async def certify(self, ask: Ask) -> Answer:
        app, host = self._app(ask), ask.body["hostname"]
        app.certificates[host] = {"hostname": host, "configured": False, "status": "Awaiting configuration"}
        return 201, app.certificates[host]

    async def certificate(self, ask: Ask) -> Answer:
        if (found := self._app(ask).certificates.get(ask.path["host"])) is None:
            raise Refusal(404, "certificate not found")
        return 200, found

    async def uncertify(self, ask: Ask) -> Answer:
        if self._app(ask).certificates.pop(ask.path["host"], None) is None:
            raise Refusal(404, "certificate not found")
        return 204, None

    async def regions(self, ask: Ask) -> Answer:
        rows = [{"code": code, "name": code, "deprecated": False, "gateway_available": True} for code in REGIONS]
        return 200, {"nearest": "fra", "regions": rows}

    async def placements(self, ask: Ask) -> Answer:
        asked = ask.body.get("region", "any").split(",")
        wanted = list(dict.fromkeys(code for name in asked for code in _ALIASES.get(name, [name])))
        room = [code for code in wanted if code in REGIONS and code not in self._world.settings.full_regions]
        count = ask.body.get("count") or 100
        return 200, {"regions": [{"region": code, "count": count, "concurrency": 0} for code in room]}

    def _app(self, ask: Ask) -> App:
        return self._world.app(ask.path["app"], ask.org)


def _shown(app: App) -> dict[str, Any]:
    return {
        "id": app.id,
        "name": app.name,
        "status": "deployed" if any(app.alive()) else "pending",
        "machine_count": sum(1 for _ in app.alive()),
        "volume_count": 0,
        "network": "default",
        "organization": {"slug": app.org, "name": app.org},
    }


def _secrets(app: App) -> "list[dict[str, str]]":
    return [
        {"name": name, "digest": s.digest, "created_at": s.created_at, "updated_at": s.updated_at}
        for name, s in sorted(app.secrets.items())
    ]
