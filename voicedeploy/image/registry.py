"""A registry of images: the OCI distribution protocol, as far as pushing and fetching go."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from voicedeploy.api.authorities import trusted
from voicedeploy.errors import NotReady, StepFailed
from voicedeploy.image.layer import digest_of

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_MANIFESTS = (MANIFEST, "application/vnd.docker.distribution.manifest.v2+json")
_INDEXES = (INDEX, "application/vnd.docker.distribution.manifest.list.v2+json")


@dataclass(frozen=True)
class Account:
    """Who fetches or pushes; without one, a registry gives what it gives to anybody."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Reference:
    """`registry/repository:tag` or `…@sha256:…`, written out as Docker understands it."""

    registry: str
    repository: str
    tag: str = "latest"
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> "Reference":
        name, _, digest = text.partition("@")
        head, slash, rest = name.partition("/")
        registry, path = ("docker.io", name) if not slash or not re.search(r"[.:]|^localhost$", head) else (head, rest)
        path, _, tag = path.partition(":")
        if registry == "docker.io" and "/" not in path:
            path = f"library/{path}"
        if not re.fullmatch(r"[a-z0-9]+([._/-]+[a-z0-9]+)*", path):
            raise NotReady(f"{text!r} is not the name of an image", hint='write it like "python:3.12-slim-bookworm"')
        return cls(registry, path, tag or "latest", digest)

    @property
    def host(self) -> str:
        return "registry-1.docker.io" if self.registry == "docker.io" else self.registry

    @property
    def insecure(self) -> bool:
        """Registries on this machine speak plain HTTP, as for every container tool."""
        return re.fullmatch(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?", self.registry) is not None

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}{f'@{self.digest}' if self.digest else f':{self.tag}'}"


_TIMEOUT = httpx.Timeout(30, read=120, write=120)
_CHUNK = 1 << 20
_TRIES = 3
"""Of questions that change nothing; a registry behind a balancer loses a connection now and then."""


class Registry:
    """One repository in a registry. Errors are `StepFailed`, and never show the password."""

    def __init__(self, reference: Reference, account: Account | None = None) -> None:
        self.reference = reference
        self._account = account
        self._authorization = ""
        base = f"{'http' if reference.insecure else 'https'}://{reference.host}"
        # A redirect leads to a store of its own, which must not see the token: httpx takes it off there.
        self._http = httpx.Client(base_url=base, timeout=_TIMEOUT, follow_redirects=True, verify=trusted())

    def __enter__(self) -> "Registry":
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def manifest(self, platform: str) -> tuple[dict[str, Any], str]:
        """The manifest for `linux/amd64` or the like, and its digest."""
        found, digest = self._manifest(self.reference.digest or self.reference.tag)
        if "manifests" in found:
            system, _, processor = platform.partition("/")
            for one in found["manifests"]:
                said = one.get("platform", {})
                if (said.get("os"), said.get("architecture")) == (system, processor):
                    return self._manifest(one["digest"])
            raise NotReady(f"{self.reference} is not made for {platform}", hint="choose another base image")
        return found, digest

    def _manifest(self, which: str) -> tuple[dict[str, Any], str]:
        response = self._ask("GET", f"manifests/{which}", headers={"Accept": ", ".join((*_MANIFESTS, *_INDEXES))})
        return json.loads(response.content), digest_of(response.content)

    def blob(self, digest: str) -> bytes:
        """A small one, such as an image's configuration."""
        data = self._ask("GET", f"blobs/{digest}").content
        if digest_of(data) != digest:
            raise self._damaged(digest)
        return data

    def has(self, digest: str) -> bool:
        return self._ask("HEAD", f"blobs/{digest}", wanted=(200, 404)).status_code == 200

    def save(self, digest: str, to: Path) -> None:
        """Downloads a layer; one that comes damaged, or not whole, is not kept."""
        partial = to.with_name(f"{to.name}.partial")
        partial.parent.mkdir(parents=True, exist_ok=True)
        seen = hashlib.sha256()
        try:
            self._ask("HEAD", f"blobs/{digest}")  # also the answer to who asks
            with (
                partial.open("wb") as file,
                self._http.stream("GET", self._path(f"blobs/{digest}"), headers=self._who()) as response,
            ):
                if response.status_code != 200:
                    raise self._refused(response.status_code)
                for chunk in response.iter_bytes(_CHUNK):
                    seen.update(chunk)
                    file.write(chunk)
            if f"sha256:{seen.hexdigest()}" != digest:
                raise self._damaged(digest)
            partial.replace(to)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        finally:
            partial.unlink(missing_ok=True)

    def mount(self, digest: str, origin: Reference) -> bool:
        """Whether the registry took the layer from a repository of its own: then nothing travels."""
        if origin.registry != self.reference.registry:
            return False
        path = f"blobs/uploads/?mount={digest}&from={origin.repository}"
        return self._ask("POST", path, wanted=(201, 202)).status_code == 201

    def upload(self, content: Path | bytes, digest: str, size: int) -> None:
        began = self._ask("POST", "blobs/uploads/", wanted=(202,))
        where = httpx.URL(str(self._http.base_url)).join(began.headers["location"])
        # With what it holds already: its own tokens.
        where = where.copy_add_param("digest", digest)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        self._ask("PUT", str(where), headers=headers, content=content, wanted=(201,))

    def put_manifest(self, manifest: Mapping[str, Any], tag: str) -> str:
        """The digest, as the registry says it."""
        data = json.dumps(manifest, separators=(",", ":")).encode()
        headers = {"Content-Type": MANIFEST}
        answer = self._ask("PUT", f"manifests/{tag}", headers=headers, content=data, wanted=(201,))
        return answer.headers.get("Docker-Content-Digest") or digest_of(data)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | Path | None = None,
        wanted: Sequence[int] = (200,),
    ) -> httpx.Response:
        tries = _TRIES if method in ("GET", "HEAD") else 1
        while True:
            tries -= 1
            try:
                response = self._send(method, path, headers or {}, content)
            except httpx.HTTPError as error:
                if tries and not isinstance(error, httpx.ConnectError):
                    continue
                raise self._unreachable(error) from error
            if response.status_code in wanted:
                return response
            if tries and response.status_code >= 500:
                continue
            raise self._refused(response.status_code)

    def _send(self, method: str, path: str, headers: Mapping[str, str], content: bytes | Path | None) -> httpx.Response:
        """As whom is asked only when the registry says how: then once more. Bodies are sent when that is known."""
        url = self._path(path)
        response = self._http.request(method, url, headers={**headers, **self._who()}, content=_body(content))
        if response.status_code != 401 or not self._introduce(response.headers.get("www-authenticate", ""), method):
            return response
        return self._http.request(method, url, headers={**headers, **self._who()}, content=_body(content))

    def _path(self, path: str) -> str:
        return path if path.startswith("http") else f"/v2/{self.reference.repository}/{path}"

    def _who(self) -> dict[str, str]:
        return {"Authorization": self._authorization} if self._authorization else {}

    def _introduce(self, challenge: str, method: str) -> bool:
        """Whether there is something new to say to `Basic realm=…` or `Bearer realm="https://…",service="…"`."""
        kind, _, rest = challenge.partition(" ")
        basic = httpx.BasicAuth(self._account.name, self._account.password) if self._account else None
        if kind.lower() == "basic":
            said = basic._auth_header if basic else ""
        elif kind.lower() == "bearer":
            asked = dict(re.findall(r'(\w+)="([^"]*)"', rest))
            realm = asked.pop("realm", "")
            if not realm.startswith("https://") and not self.reference.insecure:
                return False
            asked.setdefault(
                "scope", f"repository:{self.reference.repository}:{'pull' if method == 'GET' else 'pull,push'}"
            )
            answer = self._http.get(realm, params=asked, auth=basic)
            token = answer.json() if answer.status_code == 200 else {}
            said = f"Bearer {token.get('token') or token.get('access_token')}" if token else ""
        else:
            return False
        new = bool(said) and said != self._authorization
        self._authorization = said
        return new

    def _unreachable(self, error: httpx.HTTPError) -> StepFailed:
        return StepFailed(
            f"{self.reference.registry} cannot be reached: {str(error) or type(error).__name__}",
            hint="is the network there?",
        )

    def _damaged(self, digest: str) -> StepFailed:
        return StepFailed(f"{self.reference}: {digest[:19]}… came damaged", hint="try again")

    def _refused(self, status: int) -> StepFailed:
        name = f"{self.reference.registry}/{self.reference.repository}"
        if status in (401, 403):
            who = f"as {self._account.name}" if self._account else "without an account"
            return StepFailed(
                f"{name}: no access {who} ({status})", hint="is the token right, and made for this registry?"
            )
        if status == 404:
            return StepFailed(f"{name}: there is no such repository or image", hint="is its name right?")
        if status == 429:
            return StepFailed(f"{self.reference.registry} takes no more requests for now (429)", hint="try in a while")
        return StepFailed(f"{name}: the registry answered {status}", hint="try again")


def _body(content: bytes | Path | None) -> bytes | Iterator[bytes] | None:
    return _chunks(content) if isinstance(content, Path) else content


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            yield chunk
