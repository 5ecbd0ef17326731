"""`voicedeploy serve` for whom credentials are over in seconds: `python hasty.py FILE`."""

import sys
from pathlib import Path

from voicedeploy.serve import relay
from voicedeploy.serve.run import serve

relay.MARGIN_S = 2
relay.SPARE_S = 4
relay.LOOK_S = 0.2

sys.exit(serve(Path(sys.argv[1])))
