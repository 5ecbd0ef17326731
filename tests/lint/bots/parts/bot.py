"""Most of it is in other files, which are read too."""

from audio import params
from pipecat.runner.utils import create_transport

from services import make_services


async def bot(runner_args):
    stt = make_services()
    return await create_transport(runner_args, params.ALL), stt
