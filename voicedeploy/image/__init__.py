"""A container image made without a container engine: layers packed here, the base left where it is, pushed by the OCI
protocol. See docs/decisions/0011.

`build` makes the image of a release for one platform; `push` brings it to a registry and says its digest, which is its
name from then on. It asks for no engine, no root, and no processor of the image's kind.
"""

from voicedeploy.image.build import Image, Recipe, build
from voicedeploy.image.layer import Layer
from voicedeploy.image.push import Pushed, push
from voicedeploy.image.registry import Account, Reference

__all__ = ["Account", "Image", "Layer", "Pushed", "Recipe", "Reference", "build", "push"]
