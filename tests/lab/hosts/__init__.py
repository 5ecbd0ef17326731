"""Real hosts to deploy to: systemd, sshd and sudo of Debian 12, each in systemd-nspawn with a network of its own.

Not like a machine of its own: the kernel is this one's, limits such as the number of open files are this machine's,
cgroups are of the kind this machine has, and there is no udev.
"""

from tests.lab.hosts.host import Host
from tests.lab.hosts.lab import PASSWORD, Options, begin, drop, drop_all, make
from tests.lab.hosts.trouble import LabError

__all__ = ["PASSWORD", "Host", "LabError", "Options", "begin", "drop", "drop_all", "make"]
