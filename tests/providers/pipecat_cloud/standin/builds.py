"""Builds: of a context that was uploaded to a store by a signed form."""

import hashlib
import io
import secrets
import tarfile
from email import message_from_bytes
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.providers.pipecat_cloud.standin.door import Answer, Ask, Door, Seen
from tests.providers.pipecat_cloud.standin.images import CannotBuild, build
from tests.providers.pipecat_cloud.standin.pool import Pool
from tests.providers.pipecat_cloud.standin.world import REGIONS, Build, Refusal, World


class Builds:
    def __init__(self, world: World, pool: Pool, door: Door) -> None:
        self._world = world
        self._pool = pool
        self._door = door

    def routes(self) -> list[Route]:
        door = self._door
        return [
            door.route("POST", "/builds/upload-url", "build.upload-url", self.upload_url),
            door.route("POST", "/builds", "build.create", self.create),
            door.route("GET", "/builds", "build.list", self.list),
            door.route("GET", "/builds/{build}", "build.get", self.get),
            door.route("GET", "/builds/{build}/logs", "build.log", self.log),
            Route("/store", self.store, methods=["POST"]),
        ]

    async def upload_url(self, ask: Ask) -> Answer:
        self._region(ask.body["region"])
        upload, signature = str(uuid4()), secrets.token_hex(16)
        self._world.uploads[upload] = (signature, None)
        fields = {"key": f"contexts/{upload}.tar.gz", "policy": secrets.token_hex(8), "x-amz-signature": signature}
        expires = self._world.stamp(self._world.now() + 900)
        where = {"uploadUrl": f"{self._world.url}/store", "uploadFields": fields}
        return 200, {"uploadId": upload, "expiresAt": expires, **where}

    async def store(self, request: Request) -> Response:
        """As the store does it: all fields before the file, the file last, and no other authorization."""
        trap = self._door.traps.take("build.upload")
        if trap:
            return Response("<Error/>", trap.status or 503)
        raw = b"Content-Type: " + request.headers["content-type"].encode() + b"\r\n\r\n" + await request.body()
        parts: list[tuple[str, bytes]] = []
        for part in message_from_bytes(raw).get_payload():
            name = part.get_param("name", header="content-disposition")  # type: ignore[union-attr]
            parts.append((str(name), part.get_payload(decode=True)))  # type: ignore[union-attr, arg-type]
        fields = dict(parts)
        upload = fields.get("key", b"").decode().removeprefix("contexts/").removesuffix(".tar.gz")
        signature, _ = self._world.uploads.get(upload, ("", None))
        wrong = [
            *(["the store was shown a key"] if "authorization" in request.headers else []),
            *(["the file is not last"] if not parts or parts[-1][0] != "file" else []),
            *(["no Content-Type among the fields"] if fields.get("Content-Type") != b"application/gzip" else []),
        ]
        self._door.violations += wrong
        if wrong or not signature or fields.get("x-amz-signature", b"").decode() != signature:
            return Response("<Error><Code>AccessDenied</Code></Error>", 403)
        self._world.uploads[upload] = (signature, fields["file"])
        await self._door.saw(Seen("build.upload", "POST", "/store", 204))
        return Response(status_code=204)

    async def create(self, ask: Ask) -> Answer:
        self._region(ask.body["region"])
        _, content = self._world.uploads.get(ask.body["uploadId"], ("", None))
        if content is None:
            raise Refusal(400, "nothing was uploaded by that id")
        hash, region = hashlib.md5(content, usedforsecurity=False).hexdigest()[:16], ask.body["region"]
        for there in self._world.builds.values():
            if (there.hash, there.region, there.org, there.status) == (hash, region, ask.org, "success"):
                return 200, {"build": self._shown(there), "contextHash": hash, "cached": True}
        dockerfile = ask.body.get("dockerfilePath", "Dockerfile")
        made = Build(str(uuid4()), ask.org, region, hash, dockerfile, len(content), self._world.now())
        self._world.builds[made.id] = made
        self._pool.spawn(self._build(made, content))
        return 201, {"build": self._shown(made), "contextHash": hash, "cached": False}

    async def list(self, ask: Ask) -> Answer:
        query = ask.query
        found = [
            build
            for build in reversed(self._world.builds.values())
            if build.org is ask.org
            and query.get("region", build.region) == build.region
            and query.get("contextHash", build.hash) == build.hash
            and query.get("status", build.status) == build.status
        ]
        skip, most = int(query.get("offset", 0)), int(query.get("limit", 20))
        rows = [self._shown(build) for build in found[skip : skip + most]]
        return 200, {"builds": rows, "total": len(found), "limit": most, "offset": skip}

    async def get(self, ask: Ask) -> Answer:
        return 200, {"build": self._shown(self._own(ask))}

    async def log(self, ask: Ask) -> Answer:
        return 200, {"logs": self._own(ask).log[-int(ask.query.get("limit", 500)) :]}

    async def _build(self, made: Build, content: bytes) -> None:
        settings, clock = self._world.settings, self._world.clock
        await clock.pause(settings.pending_s)
        made.status = "building"
        await clock.pause(settings.building_s)
        context = self._world.folder / f"context-{made.id}"
        made.log.append("#0 loading build context")
        try:
            with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                tar.extractall(context, filter="data")
            image = build(context, made.dockerfile, self._world.folder / f"app-{made.id}", made.log)
            if settings.failing_builds:
                raise CannotBuild(settings.failing_builds)
        except (CannotBuild, tarfile.TarError, OSError) as error:
            made.log.append(f"ERROR: {error}")
            made.status, made.error = "failed", "The image could not be built"
        else:
            made.image, made.status = image, "success"
        made.finished = self._world.now()

    def _shown(self, build: Build) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "id": build.id,
            "organizationId": build.org.id,
            "status": build.status,
            "region": build.region,
            "contextHash": build.hash,
            "dockerfilePath": build.dockerfile,
            "contextSizeBytes": build.size,
            "createdAt": self._world.stamp(build.created),
            "updatedAt": self._world.stamp(build.finished or build.created),
        }
        if build.error:
            shown["errorMessage"] = build.error
        if build.finished:
            shown["buildDurationSeconds"] = round(build.finished - build.created)
        if build.image:
            shown["imageUri"] = build.uri
        return shown

    def _own(self, ask: Ask) -> Build:
        found = self._world.builds.get(ask.path["build"])
        if found is None or found.org is not ask.org:
            raise Refusal(404, "Build not found")
        return found

    def _region(self, region: str) -> None:
        if region not in REGIONS:
            raise Refusal(400, f"Invalid region: {region}")
