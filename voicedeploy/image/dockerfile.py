"""The same image as a Dockerfile, for whoever has a container engine or packages that must be compiled."""

from voicedeploy import beside, project
from voicedeploy.packages import own_extra
from voicedeploy.render import Artifact, render
from voicedeploy.spec import Spec

_UV = "ghcr.io/astral-sh/uv:0.9"


def dockerfile(spec: Spec, base: str, port: int, provider: str) -> list[Artifact]:
    """With its `.dockerignore`, which lets in what is of the release and nothing else."""
    needs = project.dependencies(spec.root)
    values = {
        "uv": _UV,
        "base": base,
        "needs": needs.files,
        "locked": needs.locked,
        "extra": own_extra(spec.root, spec.transport.kind),
        "port": port,
        "rooms": beside.ROOMS,
        "modules": [name for name in beside.ALONE if name.endswith(".py")],
        "provider": provider,
    }
    return [
        Artifact("Dockerfile", render("image/Dockerfile.j2", values)),
        Artifact("Dockerfile.dockerignore", render("image/dockerignore.j2", {"files": project.files(spec.root)})),
    ]
