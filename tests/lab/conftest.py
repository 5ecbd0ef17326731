from tests.lab.desk import desk, fly
from tests.lab.hosts.fixtures import lab, make_host

__all__ = ["desk", "fly", "lab", "make_host"]
