"""The registry takes and gives images as `registry.fly.io` does."""

import hashlib
import json
from collections.abc import Iterator

import httpx
import pytest

from tests.providers.fly.house import House
from tests.providers.fly.standin import Standin

KIND = "application/vnd.oci.image.manifest.v1+json"


def sha(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def registry(standin: Standin) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=standin.url, auth=("x", standin.token)) as registry:
        yield registry


def manifest(config: bytes, *layers: bytes) -> bytes:
    described = [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": sha(b), "size": len(b)} for b in layers
    ]
    of = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha(config), "size": len(config)}
    return json.dumps({"schemaVersion": 2, "mediaType": KIND, "config": of, "layers": described}).encode()


def push(registry: httpx.Client, app: str, *blobs: bytes) -> None:
    for blob in blobs:
        if registry.head(f"/v2/{app}/blobs/{sha(blob)}").status_code == 200:
            continue
        begun = registry.post(f"/v2/{app}/blobs/uploads/")
        assert begun.status_code == 202
        registry.put(begun.headers["location"], params={"digest": sha(blob)}, content=blob).raise_for_status()


def test_an_image_is_pushed_and_pulled(house: House, registry: httpx.Client) -> None:
    config, layer = b"{}", b"layer"
    push(registry, "voice-bot", config, layer)
    described = manifest(config, layer)
    stored = registry.put("/v2/voice-bot/manifests/r7", content=described, headers={"content-type": KIND})
    assert stored.status_code == 201
    digest = stored.headers["docker-content-digest"]
    assert digest == sha(described)
    assert registry.head("/v2/voice-bot/manifests/r7").headers["docker-content-digest"] == digest
    pulled = registry.get(f"/v2/voice-bot/manifests/{digest}")
    assert (pulled.content, pulled.headers["content-type"]) == (described, KIND)
    assert registry.get(f"/v2/voice-bot/blobs/{sha(layer)}").content == layer


def test_a_blob_in_pieces(house: House, registry: httpx.Client) -> None:
    begun = registry.post("/v2/voice-bot/blobs/uploads/")
    where = registry.patch(begun.headers["location"], content=b"one ").headers["location"]
    registry.put(where, params={"digest": sha(b"one two")}, content=b"two").raise_for_status()
    assert registry.get(f"/v2/voice-bot/blobs/{sha(b'one two')}").content == b"one two"


def test_only_what_is_new_is_uploaded(house: House, registry: httpx.Client) -> None:
    push(registry, "voice-bot", b"base" * 1000, b"app 1")
    before = house.standin.registry.uploaded
    push(registry, "voice-bot", b"base" * 1000, b"app 2!")
    assert house.standin.registry.uploaded - before == len(b"app 2!")


def test_a_manifest_needs_its_blobs_and_a_blob_its_digest(house: House, registry: httpx.Client) -> None:
    headers = {"content-type": KIND}
    missing = registry.put("/v2/voice-bot/manifests/r7", content=manifest(b"{}", b"layer"), headers=headers)
    assert missing.status_code == 400
    assert sha(b"layer") in missing.text
    begun = registry.post("/v2/voice-bot/blobs/uploads/")
    wrong = registry.put(begun.headers["location"], params={"digest": sha(b"a")}, content=b"b")
    assert wrong.status_code == 400


def test_no_app_no_repository(standin: Standin, registry: httpx.Client) -> None:
    assert registry.get("/v2/").status_code == 200
    assert registry.post("/v2/nobody/blobs/uploads/").status_code == 404


@pytest.mark.parametrize("auth", [None, ("x", "wrong"), ("docker", "")])
def test_only_with_the_token(house: House, auth: tuple[str, str] | None) -> None:
    answer = httpx.post(f"{house.standin.url}/v2/voice-bot/blobs/uploads/", auth=auth)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")
