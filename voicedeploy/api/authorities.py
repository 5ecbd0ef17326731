"""The certificate authorities that httpx trusts, read once: it takes 30 ms of the processor, for each client anew."""

import os
import ssl
from functools import cache


def trusted() -> ssl.SSLContext:
    """As `SSL_CERT_FILE` and `SSL_CERT_DIR` have it."""
    return _read(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _read(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    import httpx

    return httpx.create_ssl_context()
