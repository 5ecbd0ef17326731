"""The synthetic caller: real calls that prove that a bot is heard, and measure how soon and how well.

    report = await call_many(Callee.parse("http://localhost:7860/"), Script.demo(), runs=3)
    report.summary.first_word_ms.p50

Importing this package loads a WebRTC stack; who only wants `--help` does not import it.
"""

from importlib.util import find_spec

from voicedeploy.errors import NotReady

if missing := [name for name in ("aiortc", "numpy", "websockets") if find_spec(name) is None]:
    raise NotReady(
        f"calls need {', '.join(missing)}, which this installation was made without",
        hint="pip install 'voicedeploy[call]'",
    )

from voicedeploy.call.callee import Callee
from voicedeploy.call.client import call, settled
from voicedeploy.call.many import call_many
from voicedeploy.call.options import CallOptions
from voicedeploy.call.progress import Progress
from voicedeploy.call.report import Environment, Report, Spread, Summary, Verdict
from voicedeploy.call.rtp import Health
from voicedeploy.call.run import CandidatePair, Exchange, Failure, Lag, Layer, Phases, Run
from voicedeploy.call.script import Script, Turn

__all__ = [
    "CallOptions",
    "Callee",
    "CandidatePair",
    "Environment",
    "Exchange",
    "Failure",
    "Health",
    "Lag",
    "Layer",
    "Phases",
    "Progress",
    "Report",
    "Run",
    "Script",
    "Spread",
    "Summary",
    "Turn",
    "Verdict",
    "call",
    "call_many",
    "settled",
]
