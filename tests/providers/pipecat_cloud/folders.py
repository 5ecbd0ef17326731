"""Projects that nobody would make on purpose, and everybody has."""

import os
from collections.abc import Callable
from pathlib import Path

SECRET = "sk-hunter2hunter2hunter2"  # noqa: S105
KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{'b3BlbnNzaC1rZXktdjEAAAAA' * 8}\n-----END OPENSSH PRIVATE KEY-----\n"
OTHER = "do-not-ship-me-9f3c"
"""In every file that must not leave."""


def plain(root: Path) -> None:
    write(root, "bot.py", "async def bot(runner_args):\n    pass\n")
    write(root, "requirements.txt", "pipecat-ai[webrtc]==1.14.0\n")
    write(root, "voicedeploy.toml", '[bot]\nname = "front-desk"\nsecrets = ["OPENAI_API_KEY"]\n')
    write(root, ".env", f"OPENAI_API_KEY={SECRET}\nNOTE={OTHER}\n")
    write(root, ".env.example", "OPENAI_API_KEY=\n")
    write(root, "voices/hello.txt", "hello")


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def ignoring_nothing(root: Path) -> None:
    """An empty .dockerignore, with which the vendor's tool would ship everything."""
    write(root, ".dockerignore", "")
    write(root, "server.pem", KEY)
    write(root, ".git/config", f"url = https://{OTHER}@example.org")


def ignoring_by_docker(root: Path) -> None:
    """Patterns that the vendor's tool does not know."""
    write(root, ".dockerignore", "**/.env\n**/*.pem\n/data\nDockerfile\n")
    write(root, "server.pem", KEY)
    write(root, "data/big.bin", OTHER)


def negations(root: Path) -> None:
    write(
        root,
        ".dockerignore",
        "*\n!bot.py\n!.env\n!certs/\n!certs/*.pem\n!requirements.txt\n!voices\n!voicedeploy.toml\n",
    )
    write(root, "certs/server.pem", KEY)
    write(root, "notes.md", OTHER)


def links_out(root: Path) -> None:
    outside = root.parent / "outside"
    write(outside, "id_ed25519", KEY)
    write(outside, "more/secrets.txt", OTHER)
    (root / "key.txt").symlink_to(outside / "id_ed25519")
    (root / "more").symlink_to(outside / "more")
    (root / "gone").symlink_to(root / "nowhere")
    (root / "round").symlink_to(root)


def links_in(root: Path) -> None:
    """By another name, inside the project."""
    (root / "config.txt").symlink_to(root / ".env")
    (root / "settings").symlink_to(".env")
    write(root, "ops/.env.production", OTHER)
    (root / "voices/production.txt").symlink_to("../ops/.env.production")


def nested(root: Path) -> None:
    """Projects in the project, each with its own environment and secrets."""
    write(root, "client/package.json", "{}")
    write(root, "client/.env.local", OTHER)
    write(root, "client/node_modules/x/index.js", OTHER)
    write(root, "tools/pyvenv.cfg", "home = /usr/bin")
    write(root, "tools/lib/python3.12/site-packages/x.py", f"# {OTHER}")
    write(root, "other/.venv/bin/activate", OTHER)
    write(root, "other/.git/HEAD", OTHER)
    write(root, "other/.gitignore", "private/\n")
    write(root, "other/private/a.txt", OTHER)


def huge(root: Path) -> None:
    write(root, ".gitignore", "*.bin\nrecordings/\n")
    with (root / "model.bin").open("wb") as file:
        file.truncate(600 * 2**20)
    write(root, "recordings/call.txt", OTHER)


def odd_names(root: Path) -> None:
    write(root, ".gitignore", "secret *\n\\!secret\n\\#secret\n?x].txt\nnew?line.txt\n")
    for name in ("secret file.txt", "!secret", "#secret", "[x].txt", "new\nline.txt"):
        write(root, name, OTHER)
    write(root, "voices/größe ☎.txt", "x")
    write(root, "voices/" + "long" * 40 + ".txt", "x")
    write(root, "voices/-rf", "x")
    (root / os.fsdecode(b"voices/caf\xe9.txt")).write_text("x")
    os.mkfifo(root / "pipe")


def keys_everywhere(root: Path) -> None:
    for name in ("id_rsa", "deploy.key", "cert.p12", ".netrc", ".pypirc", ".ssh/id", ".aws/credentials", ".envrc"):
        write(root, name, OTHER)
        write(root, f"deep/er/{name}", OTHER)


def leftovers(root: Path) -> None:
    """Of the vendor's tool and of an own image."""
    write(root, "Dockerfile", "FROM scratch\n")
    write(root, "pcc-deploy.toml", f'agent_name = "{OTHER}"\n')
    write(root, "build/lib/bot.py", "old = True\n")
    write(root, "__pycache__/bot.pyc", OTHER)
    write(root, "env/notes.txt", "the vendor's tool would lose this folder")


def plain_socket(root: Path) -> None:
    """Over which the image has another bot.py than the folder."""
    write(root, "voicedeploy.toml", '[bot]\nname = "front-desk"\n[transport]\nkind = "websocket"\n')


NASTY: list[Callable[[Path], None]] = [
    *(ignoring_nothing, ignoring_by_docker, negations, links_out, links_in, nested, huge, odd_names),
    *(keys_everywhere, plain_socket, leftovers),
]
