"""A registry of images on loopback: the OCI distribution protocol, as far as tools for pushing and pulling use it.

Strict where real ones are: a blob has the digest it is named by, a manifest names only what is there, a repository may
have to exist, and an account may be asked for.
"""

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import uuid4

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_DIGEST = "Docker-Content-Digest"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass
class Repository:
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """The media type and the content, by digest."""
    tags: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)

    def put(self, kind: str, content: bytes, *, tag: str = "") -> str:
        """A manifest; its digest."""
        digest = _sha256(content)
        self.manifests[digest] = (kind, content)
        if tag:
            self.tags[tag] = digest
        return digest


class Registry:
    """`allowed(name, password)` says whether somebody may come in, `exists(app)` whether there is such a repository.
    With `sells_tokens` one comes in by a token that is bought with the password.

    `uploaded` counts the bytes of blobs that were pushed: what a second push saves is seen there.
    """

    def __init__(
        self,
        allowed: Callable[[str, str], bool] = lambda name, password: True,
        exists: Callable[[str], bool] = lambda app: True,
        *,
        sells_tokens: bool = False,
    ) -> None:
        self._allowed = allowed
        self._exists = exists
        self._sells_tokens = sells_tokens
        self.address = ""
        """Where `serving` serves it: `127.0.0.1:PORT`."""
        self.repositories: dict[str, Repository] = {}
        self.uploaded = 0

    def routes(self) -> list[Route]:
        return [
            Route("/token", self._token),
            Route("/v2/", self._here),
            Route("/v2/{name:path}/blobs/uploads/", self._begin, methods=["POST"]),
            Route("/v2/{name:path}/blobs/uploads/{upload}", self._upload, methods=["GET", "PATCH", "PUT", "DELETE"]),
            Route("/v2/{name:path}/blobs/{digest}", self._blob, methods=["GET", "HEAD"]),
            Route("/v2/{name:path}/manifests/{reference}", self._read_manifest, methods=["GET", "HEAD"]),
            Route("/v2/{name:path}/manifests/{reference}", self._write_manifest, methods=["PUT"]),
        ]

    def at(self, repository: str) -> Repository:
        return self.repositories.setdefault(repository, Repository())

    async def _token(self, request: Request) -> Response:
        if not self._allowed(*_account(request)):
            return _error(401, "UNAUTHORIZED", "authentication required")
        return Response(json.dumps({"token": f"bought for {request.query_params['scope']}"}))

    async def _here(self, request: Request) -> Response:
        return self._refused(request) or Response(status_code=200)

    async def _begin(self, request: Request) -> Response:
        if no := self._refused(request, "name"):
            return no
        name = request.path_params["name"]
        repository = self._of(request)
        mounted = request.query_params.get("mount", "")
        source = self.repositories.get(request.query_params.get("from", ""))
        if mounted and source and mounted in source.blobs:
            repository.blobs[mounted] = source.blobs[mounted]
            return _stored(f"/v2/{name}/blobs/{mounted}", mounted)
        if digest := request.query_params.get("digest"):
            return self._keep(request, digest, await request.body())
        upload = str(uuid4())
        repository.uploads[upload] = b""
        return Response(status_code=202, headers=self._where(name, upload, 0))

    async def _upload(self, request: Request) -> Response:
        if no := self._refused(request, "name"):
            return no
        repository, upload = self._of(request), request.path_params["upload"]
        if upload not in repository.uploads:
            return _error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload")
        name = request.path_params["name"]
        match request.method:
            case "DELETE":
                del repository.uploads[upload]
                return Response(status_code=204)
            case "GET":
                return Response(status_code=204, headers=self._where(name, upload, len(repository.uploads[upload])))
        repository.uploads[upload] += await request.body()
        if request.method == "PATCH":
            return Response(status_code=202, headers=self._where(name, upload, len(repository.uploads[upload])))
        return self._keep(request, request.query_params.get("digest", ""), repository.uploads.pop(upload))

    async def _blob(self, request: Request) -> Response:
        if no := self._refused(request, "name"):
            return no
        digest = request.path_params["digest"]
        content = self._of(request).blobs.get(digest)
        if content is None:
            return _error(404, "BLOB_UNKNOWN", f"no blob {digest}")
        return _content(request, content, digest, "application/octet-stream")

    async def _read_manifest(self, request: Request) -> Response:
        if no := self._refused(request, "name"):
            return no
        repository, reference = self._of(request), request.path_params["reference"]
        digest = repository.tags.get(reference, reference)
        if digest not in repository.manifests:
            return _error(404, "MANIFEST_UNKNOWN", f"no manifest {reference}")
        kind, content = repository.manifests[digest]
        return _content(request, content, digest, kind)

    async def _write_manifest(self, request: Request) -> Response:
        if no := self._refused(request, "name"):
            return no
        repository, reference = self._of(request), request.path_params["reference"]
        content = await request.body()
        digest = _sha256(content)
        if ":" in reference and reference != digest:
            return _error(400, "DIGEST_INVALID", f"the content is {digest}")
        try:
            manifest = json.loads(content)
            parts = [manifest["config"], *manifest["layers"]] if "layers" in manifest else []
            missing = [part["digest"] for part in parts if part["digest"] not in repository.blobs]
            missing += [m["digest"] for m in manifest.get("manifests", ()) if m["digest"] not in repository.manifests]
        except (ValueError, KeyError, TypeError):
            return _error(400, "MANIFEST_INVALID", "that is no manifest")
        if missing:
            return _error(400, "MANIFEST_BLOB_UNKNOWN", f"not pushed before: {', '.join(missing)}")
        kind = request.headers.get("content-type", _MANIFEST)
        repository.put(kind, content, tag="" if ":" in reference else reference)
        return _stored(f"/v2/{request.path_params['name']}/manifests/{digest}", digest)

    # --- what they share ----------------------------------------------------------------------------

    def _keep(self, request: Request, digest: str, content: bytes) -> Response:
        if digest != _sha256(content):
            return _error(400, "DIGEST_INVALID", f"the content is {_sha256(content)}")
        self._of(request).blobs[digest] = content
        self.uploaded += len(content)
        return _stored(f"/v2/{request.path_params['name']}/blobs/{digest}", digest)

    def _of(self, request: Request) -> Repository:
        return self.at(request.path_params["name"])

    def _where(self, name: str, upload: str, size: int) -> dict[str, str]:
        return {"location": f"/v2/{name}/blobs/uploads/{upload}", "range": f"0-{max(size - 1, 0)}"}

    def _refused(self, request: Request, *named: str) -> Response | None:
        bought = request.headers.get("authorization", "").startswith("Bearer bought for repository:")
        if not (bought if self._sells_tokens else self._allowed(*_account(request))):
            answer = _error(401, "UNAUTHORIZED", "authentication required")
            shop = f'Bearer realm="http://{self.address}/token",service="registry"'
            answer.headers["www-authenticate"] = shop if self._sells_tokens else 'Basic realm="registry"'
            return answer
        if named and not self._exists(request.path_params["name"].split("/")[0]):
            return _error(404, "NAME_UNKNOWN", "app repository not found")
        return None


@contextlib.contextmanager
def serving(registry: Registry) -> Iterator[Registry]:
    """On a free port of loopback."""
    app = Starlette(routes=registry.routes())
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    registry.address = f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield registry
    finally:
        server.should_exit = True
        thread.join(10)


def _account(request: Request) -> tuple[str, str]:
    """Name and password, empty where none are sent."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    try:
        name, _, password = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return (name, password) if scheme.lower() == "basic" else ("", "")


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _stored(location: str, digest: str) -> Response:
    return Response(status_code=201, headers={"location": location, _DIGEST: digest})


def _content(request: Request, content: bytes, digest: str, kind: str) -> Response:
    headers = {_DIGEST: digest, "content-length": str(len(content))}
    return Response(b"" if request.method == "HEAD" else content, media_type=kind, headers=headers)


def _error(status: int, code: str, message: str) -> Response:
    body = json.dumps({"errors": [{"code": code, "message": message}]})
    return Response(body, status_code=status, media_type="application/json")
