"""`python -m voicedeploy.serve CONFIG`: the front, on a target that has nothing else of voicedeploy."""

import sys
from pathlib import Path

from voicedeploy.errors import VoiceDeployError
from voicedeploy.serve.run import serve

try:
    sys.exit(serve(Path(sys.argv[1])))
except VoiceDeployError as error:
    sys.stderr.write(f"error: {error.message}\n\nhint: {error.hint}\n")
    sys.exit(error.exit_code)
