import pytest

from voicedeploy import units


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2d", 172800)])
def test_durations(text: str, value: int) -> None:
    assert units.seconds(text) == value


@pytest.mark.parametrize("text", ["", "30", "m", "-5s", "1.5h", "30 m", "5m "])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        units.seconds(text)


@pytest.mark.parametrize(("text", "value"), [("512MiB", 2**29), ("1GiB", 2**30), ("1.5GB", 1500000000), ("64", 64)])
def test_sizes(text: str, value: int) -> None:
    assert units.size(text) == value


@pytest.mark.parametrize("text", ["", "GiB", "1gib", "-1MiB", "1 GiB now"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        units.size(text)


@pytest.mark.parametrize(("total", "text"), [(1800, "30 min"), (7200, "2 h"), (45, "45 s"), (90, "90 s")])
def test_durations_for_people(total: int, text: str) -> None:
    assert units.duration_text(total) == text
