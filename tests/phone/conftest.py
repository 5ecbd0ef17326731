from tests.serve.conftest import folder, free_port

__all__ = ["folder", "free_port"]
