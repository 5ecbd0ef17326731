"""A project for `voicedeploy`: a new bot (`make`), or a bot that is there already (`adopt`)."""

from voicedeploy.init.adopt import Adopted, adopt
from voicedeploy.init.make import Made, Services, is_new, make

__all__ = ["Adopted", "Made", "Services", "adopt", "is_new", "make"]
