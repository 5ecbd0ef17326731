from tests.lab.hosts.fixtures import lab, make_host

__all__ = ["lab", "make_host"]
