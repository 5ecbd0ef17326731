import sys

from voicedeploy.cli import main

sys.exit(main())
