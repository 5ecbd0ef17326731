"""The worker's own few lines in the bot's log."""

import sys


def log(text: str) -> None:
    sys.stderr.write(f"voicedeploy: {text}\n")
    sys.stderr.flush()
