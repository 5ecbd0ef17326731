"""A living stand-in of Pipecat Cloud: its API, its builder, and agents that really run as local processes."""

from tests.providers.pipecat_cloud.standin.images import Image
from tests.providers.pipecat_cloud.standin.platform import Standin
from tests.providers.pipecat_cloud.standin.settings import Settings
from tests.providers.standins.traps import Trap

__all__ = ["Image", "Settings", "Standin", "Trap"]
