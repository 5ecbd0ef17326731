"""What a worker makes of a project: its bot, its faults, whether it may be forked."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.serve.worker.peer import Peer
from tests.serve.worker.rig import worker

QUIET = "async def bot(runner_args):\n    pass\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


async def failed(folder: Path, project: Path, entry: str = "bot.py") -> dict[str, str]:
    async with worker(folder, project=project, entry=entry) as started:
        message = await started.wait(event="failed")
        assert await asyncio.to_thread(started.process.wait, 10) == 1
        return message


async def test_a_module_that_is_not_there(tmp_path: Path, project: Path) -> None:
    (project / "services.py").write_text("\n\nimport not_installed_anywhere\n")
    (project / "bot.py").write_text("import services\n" + QUIET)
    said = await failed(tmp_path, project)
    assert said["error"] == "ModuleNotFoundError: No module named 'not_installed_anywhere'"
    assert said["where"] == "services.py:3"
    assert said["traceback"].startswith("Traceback")
    assert "importlib" not in said["traceback"]


@pytest.mark.parametrize(
    ("source", "error", "where"),
    [
        ("def bot(:\n", "SyntaxError: invalid syntax", "bot.py:1"),
        ("x = 1\n", "NotABot: bot.py has no `async def bot(runner_args)`", ""),
        ("def bot(runner_args): ...\n", "NotABot: bot.py has no `async def bot(runner_args)`", ""),
        ("import sys\nsys.exit('OPENAI_API_KEY is missing')\n", "SystemExit: OPENAI_API_KEY is missing", "bot.py:2"),
    ],
)
async def test_a_file_that_is_no_bot(tmp_path: Path, project: Path, source: str, error: str, where: str) -> None:
    (project / "bot.py").write_text(source)
    said = await failed(tmp_path, project)
    assert said["error"].endswith(error)
    assert said["where"] == where


async def test_a_file_that_is_not_there(tmp_path: Path, project: Path) -> None:
    said = await failed(tmp_path, project, entry="app/bot.py")
    assert "app/bot.py: no such file" in said["error"]


THREADS = """
import _thread, concurrent.futures, threading
threading.Thread(target=threading.Event().wait, name="beat", daemon=True).start()
pool = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="work")
pool.submit(print)
_thread.start_new_thread(threading.Event().wait, ())
"""


async def test_a_bot_with_threads_is_spawned_not_forked(tmp_path: Path, project: Path) -> None:
    (project / "bot.py").write_text(THREADS + QUIET)
    async with worker(tmp_path, project=project) as started:
        loaded = await started.wait(event="loaded")
        assert not loaded["forkable"]
        assert loaded["reason"].endswith("threads: beat, work_0, 1 without a name")


async def test_a_spawned_process_is_the_same_call(tmp_path: Path) -> None:
    peer = Peer()
    async with worker(tmp_path, role="child") as child:
        assert (await child.wait(event="loaded"))["pipecat"]
        await child.wait(event="ready")
        assert os.getpgid(child.process.pid) == child.process.pid
        child.send({"op": "session", "session_id": "s-1", "transport": "webrtc"})
        await peer.call(child)
        await peer.close()
        await child.wait(event="bot", state="finished")
        assert await asyncio.to_thread(child.process.wait, 10) == 0
        assert "session s-1" in child.log


MIRROR = """
import os, sys
print("import:", __name__, sys.argv, sys.path[0], os.environ.get("FROM_FILE"), os.environ["BOTH"])
import wire, helper  # a project's own modules, though the worker has one of that name
from dotenv import load_dotenv
load_dotenv(".env", override=True)
import pipecat.runner.run
from pipecat.services.llm_service import LLMService
print("loaded:", os.environ["FROM_FILE"], os.environ["BOTH"])

async def bot(runner_args):
    load_dotenv(".env", override=True)
    print("call:", os.environ["FROM_FILE"], os.environ["BOTH"], os.environ.get("ENV"), os.getcwd(), wire.mine)
    print("worker's:", [k for k in os.environ if k.startswith("VOICEDEPLOY")])
    print("ahead:", "pipecat.adapters.llm.services.open_ai_adapter" in sys.modules)
    from pipecat.audio.vad.silero import SileroVADAnalyzer
    from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
    one, two = SileroVADAnalyzer(), SileroVADAnalyzer()
    print("shared:", one._model is two._model, one._model.session is two._model.session,
          LocalSmartTurnAnalyzerV3()._session is LocalSmartTurnAnalyzerV3()._session)

if __name__ == "__main__":
    raise RuntimeError("not as a script")
"""


async def test_a_bot_sees_its_project_and_its_own_environment(tmp_path: Path, project: Path) -> None:
    (project / "app").mkdir()
    (project / "app" / "main_bot.py").write_text(MIRROR)
    (project / "app" / "wire.py").write_text("mine = 'mine'\n")
    (project / "helper.py").touch()
    (project / ".env").write_text("FROM_FILE=file\nBOTH=file\n")
    peer = Peer()
    async with worker(tmp_path, project=project, entry="app/main_bot.py", BOTH="given") as zygote:
        await zygote.wait(event="loaded")
        child = await zygote.fork()
        child.session()
        await peer.offer(child)
        await zygote.exited(child)
        await peer.close()
        entry = project / "app" / "main_bot.py"
        assert f"import: main_bot {[str(entry)]} {entry.parent} None given" in zygote.log
        assert "loaded: file given" in zygote.log
        assert f"call: file given None {project} mine" in child.log
        assert "worker's: []" in child.log
        assert "ahead: True" in child.log
        assert "shared: False True True" in child.log


async def test_what_pipecat_sets_up_for_the_user_stays(tmp_path: Path, project: Path) -> None:
    (project / "theirs.py").write_text(
        "async def setup_worker_runner(runner): print('theirs')\nasync def setup_pipeline_worker(worker): ...\n"
    )
    bots = Path(__file__).with_name("bots")
    peer = Peer()
    async with worker(tmp_path, project=bots, PIPECAT_SETUP_FILES=str(project / "theirs.py")) as zygote:
        child = await zygote.fork()
        child.session()
        await peer.call(child)
        await child.wait(event="first_word")
        await peer.close()
        await zygote.exited(child)
        assert "theirs" in child.log.splitlines()
        # All that this Pipecat and aiortc allow was done, without a word.
        assert "voicedeploy:" not in zygote.log


async def test_an_aioice_that_cannot_be_pinned_is_refused(tmp_path: Path, project: Path) -> None:
    (project / "bot.py").write_text(
        "import aioice.ice\n"
        "async def other(self, component, addresses): ...\n"
        "aioice.ice.Connection.get_component_candidates = other\n" + QUIET
    )
    said = await failed(tmp_path, project)
    assert "cannot be told which UDP port to use" in said["error"]


async def test_codecs_that_have_changed_stay_in_their_threads(tmp_path: Path, project: Path) -> None:
    source = (Path(__file__).with_name("bots") / "bot.py").read_text()
    (project / "bot.py").write_text(
        "import aiortc.rtcrtpreceiver, aiortc.rtcrtpsender\n"
        "async def receive(self, parameters): return await old(self, parameters)\n"
        "old, aiortc.RTCRtpReceiver.receive = aiortc.RTCRtpReceiver.receive, receive\n" + source
    )
    peer = Peer()
    async with worker(tmp_path, project=project) as zygote:
        child = await zygote.fork()
        child.session()
        await peer.call(child)
        await peer.close()
        await zygote.exited(child)
        assert "audio decoding stays in its thread" in zygote.log
        assert "audio encoding" not in zygote.log


async def test_the_worker_adds_nothing_to_the_import_path(tmp_path: Path, project: Path) -> None:
    (project / "bot.py").write_text("import sys\nprint(*sys.path, sep='\\n')\n" + QUIET)
    async with worker(tmp_path, project=project) as started:
        await started.wait(event="loaded")
        found = [line for line in started.log.splitlines() if line.endswith("worker")]
        assert found == []
        assert str(project) in started.log
