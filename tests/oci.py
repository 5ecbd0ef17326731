"""A registry of images on loopback: the OCI distribution protocol, as far as tools for pushing and pulling use it.

A stand-in for a vendor's, strict where real ones are: a blob must have the digest it is named by, a manifest may name
only blobs that are there, a repository may have to exist, and an account may be asked for.
"""

import base64
import contextlib
import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass
class Oci:
    """`account` (name, password) is asked for by every request, by a token that it buys where `bearer`; `repositories`
    are the ones that exist, None for any."""

    account: tuple[str, str] | None = None
    repositories: set[str] | None = None
    bearer: bool = False
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    received: int = 0
    """Bytes of blobs that were uploaded."""
    address: str = ""

    def app(self) -> Starlette:
        methods = ["GET", "HEAD", "POST", "PATCH", "PUT"]
        routes = [Route("/v2/{path:path}", self._answer, methods=methods), Route("/token", self._token)]
        return Starlette(routes=routes)

    async def _token(self, request: Request) -> Response:
        if self.account and request.headers.get("authorization") != _basic(*self.account):
            return _error(401, "UNAUTHORIZED")
        return JSONResponse({"token": f"bought for {request.query_params['scope']}"})

    async def _answer(self, request: Request) -> Response:
        said = request.headers.get("authorization", "")
        if self.bearer and not said.startswith("Bearer bought for repository:"):
            how = f'Bearer realm="http://{self.address}/token",service="test"'
            return Response(status_code=401, headers={"WWW-Authenticate": how})
        if self.account and not self.bearer and said != _basic(*self.account):
            return Response(status_code=401, headers={"WWW-Authenticate": 'Basic realm="test"'})
        path = str(request.path_params["path"])
        if not path:
            return JSONResponse({})
        for kind in ("manifests", "blobs"):
            repository, found, rest = path.partition(f"/{kind}/")
            if found:
                if self.repositories is not None and repository not in self.repositories:
                    return _error(404, "NAME_UNKNOWN")
                answer: Response = await getattr(self, f"_{kind}")(request, repository, rest)
                return answer
        return _error(404, "UNSUPPORTED")

    async def _manifests(self, request: Request, repository: str, reference: str) -> Response:
        if request.method == "PUT":
            body = await request.body()
            manifest = json.loads(body)
            named = [manifest["config"], *manifest["layers"]] if "layers" in manifest else []
            for blob in named:
                there = self.blobs.get((repository, blob["digest"]))
                if there is None or len(there) != blob["size"]:
                    return _error(400, "MANIFEST_BLOB_UNKNOWN")
            digest = _digest(body)
            for name in (reference, digest):
                self.manifests[repository, name] = (request.headers["content-type"], body)
            return Response(status_code=201, headers={"Docker-Content-Digest": digest})
        if (repository, reference) not in self.manifests:
            return _error(404, "MANIFEST_UNKNOWN")
        kind, body = self.manifests[repository, reference]
        headers = {"Content-Type": kind, "Docker-Content-Digest": _digest(body)}
        return Response(body if request.method == "GET" else b"", headers=headers)

    async def _blobs(self, request: Request, repository: str, rest: str) -> Response:
        if rest.startswith("uploads/"):
            return await self._upload(request, repository, rest.removeprefix("uploads/"))
        data = self.blobs.get((repository, rest))
        if data is None:
            return _error(404, "BLOB_UNKNOWN")
        return Response(data if request.method == "GET" else b"", headers={"Docker-Content-Digest": rest})

    async def _upload(self, request: Request, repository: str, session: str) -> Response:
        if request.method == "POST":
            wanted, origin = request.query_params.get("mount"), request.query_params.get("from")
            if wanted and origin and (data := self.blobs.get((origin, wanted))) is not None:
                self.blobs[repository, wanted] = data
                return Response(status_code=201, headers={"Location": f"/v2/{repository}/blobs/{wanted}"})
            session = uuid.uuid4().hex
            self.uploads[session] = bytearray()
            return Response(status_code=202, headers={"Location": f"/v2/{repository}/blobs/uploads/{session}"})
        if session not in self.uploads:
            return _error(404, "BLOB_UPLOAD_UNKNOWN")
        self.uploads[session] += await request.body()
        if request.method == "PATCH":
            return Response(status_code=202, headers={"Location": str(request.url.path)})
        data, digest = bytes(self.uploads.pop(session)), request.query_params.get("digest", "")
        self.received += len(data)
        if _digest(data) != digest:
            return _error(400, "DIGEST_INVALID")
        self.blobs[repository, digest] = data
        return Response(status_code=201, headers={"Docker-Content-Digest": digest})


@contextlib.contextmanager
def serving(oci: Oci) -> Iterator[Oci]:
    """`oci` on a free port of loopback; `address` is "127.0.0.1:PORT"."""
    server = uvicorn.Server(uvicorn.Config(oci.app(), port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    oci.address = f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield oci
    finally:
        server.should_exit = True
        thread.join(10)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _basic(name: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def _error(status: int, code: str) -> Response:
    return JSONResponse({"errors": [{"code": code, "message": code.lower()}]}, status)
