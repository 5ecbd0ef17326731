"""Secret sets: stored some seconds after they are put."""

import base64
import binascii
import re

from starlette.routing import Route

from tests.providers.pipecat_cloud.standin.door import Answer, Ask, Door
from tests.providers.pipecat_cloud.standin.world import REGIONS, Refusal, SecretSet, World


class Secrets:
    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self, door: Door) -> list[Route]:
        one = "/secrets/{set}"
        return [
            door.route("GET", "/secrets", "secrets.list", self.list),
            door.route("PUT", one, "secrets.put", self.put),
            door.route("GET", one, "secrets.get", self.get),
            door.route("DELETE", one, "secrets.delete", self.delete),
            door.route("DELETE", f"{one}/{{key}}", "secrets.unset", self.unset),
        ]

    async def list(self, ask: Ask) -> Answer:
        rows = []
        for found in self._world.secrets.values():
            if found.org is ask.org:
                kind = "imagePullSecret" if found.pull else "secret"
                row = {"name": found.name, "type": kind, "region": found.region, "status": self._world.status(found)}
                rows.append(row | ({"errorMessage": found.error} if found.error else {}))
        return 200, {"sets": rows}

    async def get(self, ask: Ask) -> Answer:
        found = self._own(ask)
        if found.pull:
            raise Refusal(400, "Image pull secrets are not shown")
        status = self._world.status(found)
        error = {"errorMessage": found.error or "the set could not be stored"} if status == "failed" else {}
        keys = [{"fieldName": key} for key in sorted(found.values)]
        return 200, {"secrets": keys, "region": found.region, "status": status, **error}

    async def put(self, ask: Ask) -> Answer:
        name, body = ask.path["set"], ask.body
        there = self._world.secrets.get(name)
        if there is not None and there.org is not ask.org:
            raise Refusal(400, f"Secret set name '{name}' is already in use")
        region = body.get("region") or (there.region if there else ask.org.region)
        if region not in REGIONS or (there is not None and there.region != region):
            raise Refusal(400, f"Secret set '{name}' cannot be in {region}")
        found = there or SecretSet(name, ask.org, region, pull=bool(body.get("isImagePullSecret")))
        found.error = ""
        if found.pull:
            try:
                base64.b64decode(body["secretValue"], validate=True)
            except binascii.Error:
                found.error = "failed to create keychain: illegal base64 data"
        for row in body.get("secrets", ()):
            if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", row["secretKey"]):
                raise Refusal(400, f"secretKey {row['secretKey']}: not allowed")
            found.values[row["secretKey"]] = row["secretValue"]
        found.changed = self._world.now()
        self._world.secrets[name] = found
        return 202, {"status": "OK", "region": region}

    async def delete(self, ask: Ask) -> Answer:
        del self._world.secrets[self._own(ask).name]
        return 200, {"status": "OK"}

    async def unset(self, ask: Ask) -> Answer:
        found = self._own(ask)
        if found.values.pop(ask.path["key"], None) is None:
            raise Refusal(404, "Secret not found")
        found.changed = self._world.now()
        return 200, {"status": "OK"}

    def _own(self, ask: Ask) -> SecretSet:
        found = self._world.secrets.get(ask.path["set"])
        if found is None or found.org is not ask.org:
            raise Refusal(404, "Secret set not found")
        return found
