"""Put a Pipecat voice bot where strangers can talk to it, and prove by a call that it is heard."""

from importlib.metadata import version

__version__ = version("voicedeploy")
