"""An image to a registry: only what is not there travels, and the manifest comes last."""

from dataclasses import dataclass

from voicedeploy.image.build import Image
from voicedeploy.image.layer import Kept, digest_of
from voicedeploy.image.registry import Account, Reference, Registry


@dataclass(frozen=True)
class Pushed:
    """`name` is `registry/repository@sha256:…`; `uploaded` the bytes that travelled."""

    name: str
    digest: str
    uploaded: int


def push(
    image: Image,
    to: Reference,
    account: Account | None = None,
    *,
    base_account: Account | None = None,
    kept: Kept | None = None,
) -> Pushed:
    """Raises `StepFailed`; the registry then has some layers more, and no image."""
    kept = kept or Kept.here()
    uploaded = 0
    with Registry(to, account) as registry:
        for layer in image.base_layers:
            uploaded += _bring_base(registry, image.base, layer["digest"], layer["size"], base_account, kept)
        for own in image.layers:
            if not registry.has(own.digest):
                registry.upload(own.path, own.digest, own.size)
                uploaded += own.size
        config = digest_of(image.config)
        if not registry.has(config):
            registry.upload(image.config, config, len(image.config))
            uploaded += len(image.config)
        digest = registry.put_manifest(image.manifest, to.tag)
    return Pushed(f"{to.registry}/{to.repository}@{digest}", digest, uploaded)


def _bring_base(
    registry: Registry, base: Reference, digest: str, size: int, account: Account | None, kept: Kept
) -> int:
    if registry.has(digest) or registry.mount(digest, base):
        return 0
    path = kept.root / "base" / digest.replace(":", "-")
    if not path.exists():
        with Registry(base, account) as origin:
            origin.save(digest, path)
    registry.upload(path, digest, size)
    return size
