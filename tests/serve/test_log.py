"""A log that a full disk does not stop."""

import asyncio
import json
import os
import resource
import signal
from pathlib import Path

from voicedeploy.serve.log import Log
from voicedeploy.serve.output import LONGEST_LINE, Output


def read(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines() if line]


def test_a_line(folder: Path) -> None:
    log = Log(folder / "log", max_bytes=1 << 20, release="r1")
    log.info("hello", session="s1", n=1, odd=Path("/x"), text="ü\n\ud800")
    log.output("c1", "2026-11-21 03:00:00.000 | WARNING  | bot:run:12 - careful", session="s1")
    log.output("c1", "plain")
    first, second, third = read(folder / "log")
    assert list(first)[:5] == ["ts", "level", "event", "session", "release"]
    assert (first["level"], first["event"], first["session"], first["release"]) == ("info", "hello", "s1", "r1")
    assert (first["n"], first["odd"]) == (1, "/x")
    assert (second["level"], second["event"], second["process"]) == ("warning", "output", "c1")
    assert (third["level"], third["session"]) == ("info", "")


def test_it_rotates(folder: Path) -> None:
    log = Log(folder / "log", max_bytes=2000, release="r1")
    for number in range(100):
        log.info("n", number=number)
    assert (folder / "log").stat().st_size <= 2000
    assert (folder / "log.1").stat().st_size <= 2000
    numbers = [line["number"] for line in read(folder / "log.1") + read(folder / "log")]
    assert numbers == list(range(100))[-len(numbers) :]
    assert log.dropped == 0


def test_two_releases_share_a_file(folder: Path) -> None:
    old = Log(folder / "log", max_bytes=5000, release="old")
    new = Log(folder / "log", max_bytes=5000, release="new")
    for number in range(60):
        old.info("n", number=number)
        new.info("n", number=number)
    lines = read(folder / "log.1") + read(folder / "log")
    assert [line["number"] for line in lines[-10:]] == [55, 55, 56, 56, 57, 57, 58, 58, 59, 59]
    assert {line["release"] for line in lines} == {"old", "new"}


def test_a_full_disk_drops_and_counts(folder: Path) -> None:
    log = Log(folder / "log", max_bytes=1 << 20, release="r1")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The kernel cuts the write short at the limit, and refuses the next one, as a full disk does.
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        for number in range(50):
            log.info("n", number=number)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert log.dropped > 30
    log.info("n", number="after")
    log.info("n", number="last")
    text = (folder / "log").read_text().splitlines()
    whole = []
    for line in text:
        try:
            whole.append(json.loads(line))
        except ValueError:
            torn = line
    assert len(whole) == len(text) - 1, torn
    missing, after, last = whole[-3:]
    assert (missing["event"], missing["lines"]) == ("log-dropped", log.dropped)
    assert (after["number"], last["number"]) == ("after", "last")
    assert len([line for line in whole if line["event"] == "n"]) == 52 - log.dropped


def test_a_folder_that_is_gone(folder: Path) -> None:
    log = Log(folder / "logs" / "log", max_bytes=1 << 20, release="r1")
    log.info("lost")
    assert log.dropped == 1
    (folder / "logs").mkdir()
    log.info("kept")
    assert [line["event"] for line in read(folder / "logs" / "log")] == ["log-dropped", "kept"]


async def test_output_comes_by_lines() -> None:
    reading, writing = os.pipe()
    got: list[str] = []
    output = Output(reading, got.append)
    os.write(writing, b"one\ntw")
    await asyncio.sleep(0.01)
    os.write(writing, b"o\n\n\xff\n" + b"x" * (LONGEST_LINE + 5) + b"\nrest")
    await asyncio.sleep(0.01)
    assert got == ["one", "two", "\ufffd", "x" * LONGEST_LINE, "xxxxx"]
    os.close(writing)
    await asyncio.sleep(0.01)
    assert got[-1] == "rest"
    assert output.closed
