"""`python -m voicedeploy.call`: a process that makes calls for another one, see worker.py."""

import asyncio

from voicedeploy.call.worker import main

asyncio.run(main())
