"""A living stand-in of Fly.io: its API, its proxy, its registry, and machines that really run as local processes."""

from tests.providers.fly.standin.ground import Ground
from tests.providers.fly.standin.images import Image
from tests.providers.fly.standin.platform import Standin
from tests.providers.fly.standin.settings import Settings
from tests.providers.standins.traps import Trap

__all__ = ["Ground", "Image", "Settings", "Standin", "Trap"]
