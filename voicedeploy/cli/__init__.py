"""The command line: one small file a command, `show` for all text that leaves."""

from voicedeploy.cli.app import main

__all__ = ["main"]
