from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.services.stt_service import STTService

import extra


class Slow(STTService):  # VD166
    def __init__(self, **kwargs):
        super().__init__(sample_rate=16000)

    async def run_stt(self, audio):
        yield None


class Told(STTService):
    def __init__(self):
        super().__init__(sample_rate=16000, ttfs_p99_latency=0.3)


class Marks(STTService):
    async def run_stt(self, audio):
        self.confirm_finalize()
        yield None


class Open(STTService):
    def __init__(self, **kwargs):
        super().__init__(sample_rate=16000, **kwargs)


def make_services():
    LLMContextAggregatorPair(None)  # VD169
    return Slow(), Told(), Marks(), Open(ttfs_p99_latency=0.3), extra
