import re
from pathlib import Path

import pytest

from voicedeploy.errors import UsageError
from voicedeploy.init import names


@pytest.mark.parametrize("name", ["a", "front-desk", "r2d2", "a" * 40])
def test_names_that_will_do(name: str) -> None:
    assert names.checked(name) == name


@pytest.mark.parametrize(
    ("name", "fault", "hint"),
    [
        ("", "empty", "--name front-desk"),
        ("Front Desk", "not ' ' 'D' 'F'", "--name front-desk"),
        ("front_desk", "not '_'", "--name front-desk"),
        ("2nd-bot", "begin with a letter", "--name nd-bot"),
        ("bot-", "end with a letter", "--name bot"),
        ("b" * 41, "41 characters, 40 is the most", "--name " + "b" * 40),
        ("бот", "only lower-case letters", "--name front-desk"),
    ],
)
def test_names_that_will_not_do(name: str, fault: str, hint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(fault)) as caught:
        names.checked(name)
    assert hint in caught.value.hint


def test_a_name_from_the_folder(tmp_path: Path) -> None:
    assert names.of_folder(tmp_path / "My Bot (v2)") == "my-bot-v2"
    with pytest.raises(UsageError, match="no name"):
        names.of_folder(tmp_path / "42")


def test_as_it_is_spoken() -> None:
    assert names.spoken("front-desk") == "Front desk"
