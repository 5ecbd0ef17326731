"""Images built in the cloud from a context that is uploaded."""

from collections.abc import Callable
from urllib.parse import quote

import httpx

from voicedeploy.api import PAUSES, Params, Wire
from voicedeploy_providers.pipecat_cloud.api.errors import BuildFailed, Unanswered, WaitedTooLong, refusal, unanswered
from voicedeploy_providers.pipecat_cloud.api.records import Build, Record, Upload

POLL_S = 3.0
_SILENCES = 5
_UPLOAD_S = 600.0
_LAST_LINES = 40


class _Builds(Record):
    builds: tuple[Build, ...] = ()


class _Build(Record):
    build: Build


class _Log(Record):
    logs: tuple[str, ...] = ()


class Builds:
    """`store` is a connection without a key: the address to upload to is signed itself, and not the platform's."""

    def __init__(self, wire: Wire, store: httpx.Client) -> None:
        self._wire = wire
        self._store = store

    def list(self, *, region: str = "", context_hash: str = "", status: str = "", most: int = 20) -> tuple[Build, ...]:
        what = "listing the builds"
        asked: Params = {"region": region, "contextHash": context_hash, "status": status, "limit": most}
        params = {key: value for key, value in asked.items() if value}
        return self._wire.read(_Builds, self._wire.call("GET", "/builds", what, params=params), what).builds

    def get(self, build: str) -> Build:
        what = f"looking at the build {build}"
        return self._wire.read(_Build, self._wire.call("GET", self._of(build), what), what).build

    def log(self, build: str, most: int = 500) -> tuple[str, ...]:
        what = f"reading the log of the build {build}"
        return self._wire.read(
            _Log, self._wire.call("GET", f"{self._of(build)}/logs", what, params={"limit": most}), what
        ).logs

    def made(self, context_hash: str, region: str) -> Build | None:
        """One of the same context that is ready to be deployed."""
        found = self.list(region=region, context_hash=context_hash, status="success", most=1)
        return found[0] if found else None

    def create(self, context: bytes, context_hash: str, *, region: str, dockerfile: str = "Dockerfile") -> Build:
        """Uploads the context, a gzipped tar, and begins to build it; the platform takes an old build of the same."""
        what = "beginning the build"
        upload = self._upload(context, region)
        body = {"uploadId": upload.upload_id, "region": region, "dockerfilePath": dockerfile}
        before = {build.id for build in self.list(region=region, context_hash=context_hash)}

        def make() -> Build:
            return self._wire.read(_Build, self._wire.call("POST", "/builds", what, body=body, again=False), what).build

        def find() -> Build | None:
            there = self.list(region=region, context_hash=context_hash)
            return next((build for build in there if build.id not in before), None)

        return self._wire.once(make, find, what)

    def wait(self, build: str, *, timeout_s: float = 900.0, tell: Callable[[Build], None] = lambda _: None) -> Build:
        """Until it can be deployed. `BuildFailed` has its last lines; `tell` with each look."""
        what = f"building the image ({build})"
        until = self._wire.clock.monotonic() + timeout_s
        silences = 0
        while self._wire.clock.monotonic() < until:
            try:
                now = self.get(build)
                silences = 0
            except Unanswered:
                silences += 1
                if silences > _SILENCES:
                    raise
            else:
                tell(now)
                if now.status == "success":
                    return now
                if now.over:
                    raise self._failed(what, now)
            self._wire.clock.sleep(POLL_S)
        raise WaitedTooLong(
            f"{what}: not after {timeout_s:g} s", hint="`voicedeploy up` again finds it when it is done"
        )

    def _failed(self, what: str, build: Build) -> BuildFailed:
        said = build.error_message or ("it took too long" if build.status == "timeout" else "it failed")
        try:
            log = self.log(build.id)[-_LAST_LINES:]
        except Unanswered:
            log = ()
        return BuildFailed(f"{what}: {said}", hint="the last lines of its log say where", log=log)

    def _upload(self, context: bytes, region: str) -> Upload:
        what = f"uploading {len(context) / 2**20:.1f} MiB"
        asked = self._wire.call("POST", "/builds/upload-url", what, body={"region": region}, again=True)
        upload = self._wire.read(Upload, asked, what)
        # The store wants the file last, and its type as a field of its own.
        fields = {"Content-Type": "application/gzip", **upload.upload_fields}
        file = {"file": ("context.tar.gz", context, "application/gzip")}
        timeout = httpx.Timeout(30.0, read=_UPLOAD_S, write=_UPLOAD_S)
        for pause in (*PAUSES, None):
            failure: Exception
            try:
                answer = self._store.post(upload.upload_url, data=fields, files=file, timeout=timeout)
            except httpx.TransportError as error:
                failure = unanswered(what, f"the store of contexts broke off ({type(error).__name__})")
            else:
                if answer.is_success:
                    return upload
                failure = refusal(what, answer, lambda text: text if "<" not in text else "")
                if answer.status_code < 500:
                    raise failure
            if pause is None:
                raise failure
            self._wire.clock.sleep(pause)
        raise AssertionError("the last attempt raises")

    def _of(self, build: str) -> str:
        return f"/builds/{quote(build, safe='')}"
