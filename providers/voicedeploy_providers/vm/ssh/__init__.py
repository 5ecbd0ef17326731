"""A host over SSH: how the user's ssh would reach it, and a shell there that runs things as root."""

from voicedeploy_providers.vm.ssh.config import Route, route
from voicedeploy_providers.vm.ssh.connection import Connection, connect
from voicedeploy_providers.vm.ssh.lost import ConnectionLost
from voicedeploy_providers.vm.ssh.shell import Result, Shell

__all__ = ["Connection", "ConnectionLost", "Result", "Route", "Shell", "connect", "route"]
