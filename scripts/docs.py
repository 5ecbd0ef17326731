"""Writes the generated pages of docs/reference, or with --check compares them. Called by scripts/docs."""

import sys
from pathlib import Path
from typing import Any

import typer.main

from voicedeploy import targets
from voicedeploy.cli.app import app

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"


def command_line() -> str:
    """Every command's help, as it prints at 100 columns."""
    parts = ["# Command line\n\n<!-- Made by scripts/docs from --help; do not edit. -->\n"]

    def walk(command: Any, path: str, parent: typer.Context | None) -> None:
        context = typer.Context(
            command, info_name=path.split()[-1], parent=parent, max_content_width=100, terminal_width=100
        )
        parts.append(f"\n## {path}\n\n```text\n{command.get_help(context).rstrip()}\n```\n")
        if hasattr(command, "list_commands"):
            for name in command.list_commands(context):
                walk(command.commands[name], f"{path} {name}", context)

    walk(typer.main.get_command(app), "voicedeploy", None)
    return "".join(parts)


def main() -> int:
    pages = {REFERENCE / "cli.md": command_line(), REFERENCE / "targets.md": targets.page()}
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text("utf-8") != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"error: docs/reference/{path.name} is out of date\n\nhint: scripts/docs")  # noqa: T201
        return 1 if stale else 0
    for path in stale:
        path.write_text(pages[path], "utf-8")
    return 0


sys.exit(main())
