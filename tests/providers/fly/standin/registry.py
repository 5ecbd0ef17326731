"""A registry of images (OCI distribution v2), as much as pushing and pulling by digest needs."""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

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


class Registry:
    """`allowed(name, password)` says whether somebody may come in, `exists(repository)` whether there is such an app.

    `uploaded` counts the bytes of blobs that were pushed: what a second push saves is seen there.
    """

    def __init__(self, allowed: Callable[[str, str], bool], exists: Callable[[str], bool]) -> None:
        self._allowed = allowed
        self._exists = exists
        self.repositories: dict[str, Repository] = {}
        self.uploaded = 0

    def routes(self) -> list[Route]:
        return [
            Route("/v2/", self._here),
            Route("/v2/{name:path}/blobs/uploads/", self._begin, methods=["POST"]),
            Route("/v2/{name:path}/blobs/uploads/{upload}", self._upload, methods=["GET", "PATCH", "PUT", "DELETE"]),
            Route("/v2/{name:path}/blobs/{digest}", self._blob, methods=["GET", "HEAD"]),
            Route("/v2/{name:path}/manifests/{reference}", self._read_manifest, methods=["GET", "HEAD"]),
            Route("/v2/{name:path}/manifests/{reference}", self._write_manifest, methods=["PUT"]),
        ]

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
        repository.manifests[digest] = (request.headers.get("content-type", _MANIFEST), content)
        if ":" not in reference:
            repository.tags[reference] = digest
        return _stored(f"/v2/{request.path_params['name']}/manifests/{digest}", digest)

    # --- what they share ----------------------------------------------------------------------------

    def _keep(self, request: Request, digest: str, content: bytes) -> Response:
        if digest != _sha256(content):
            return _error(400, "DIGEST_INVALID", f"the content is {_sha256(content)}")
        self._of(request).blobs[digest] = content
        self.uploaded += len(content)
        return _stored(f"/v2/{request.path_params['name']}/blobs/{digest}", digest)

    def _of(self, request: Request) -> Repository:
        return self.repositories.setdefault(request.path_params["name"], Repository())

    def _where(self, name: str, upload: str, size: int) -> dict[str, str]:
        return {"location": f"/v2/{name}/blobs/uploads/{upload}", "range": f"0-{max(size - 1, 0)}"}

    def _refused(self, request: Request, *named: str) -> Response | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        user, _, password = _decoded(given).partition(":") if scheme.lower() == "basic" else ("", "", "")
        if not self._allowed(user, password):
            answer = _error(401, "UNAUTHORIZED", "authentication required")
            answer.headers["www-authenticate"] = 'Basic realm="registry"'
            return answer
        if named and not self._exists(request.path_params["name"].split("/")[0]):
            return _error(404, "NAME_UNKNOWN", "app repository not found")
        return None


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return ""


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
