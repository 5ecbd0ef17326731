"""`python -m voicedeploy.call.proof SOCKET`: one short call to the front behind SOCKET, as a JSON report."""

import asyncio
import json
import sys

from voicedeploy.call import Callee, Script, call_many
from voicedeploy.call.options import FIRST_WORD

callee = Callee.parse("http://127.0.0.1/", socket=sys.argv[1])
report = asyncio.run(call_many(callee, Script.demo(1), FIRST_WORD))
sys.stdout.write(json.dumps(report.to_json()) + "\n")
