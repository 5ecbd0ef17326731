"""Questions whose answer must not be seen."""

import getpass
import sys


def there_is_one() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def ask(prompt: str) -> str:
    return getpass.getpass(prompt)
