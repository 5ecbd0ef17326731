"""A call that comes in as carriers bring it: a signed form to the bot's webhook, and whatever its answer says."""

import asyncio
from urllib.parse import urlsplit

from voicedeploy.call.callee import Callee
from voicedeploy.call.lines.socket.document import Told, told
from voicedeploy.call.run import Failure
from voicedeploy.call.signalling import CallFailed, Signalling, Started
from voicedeploy.serve.phone import CARRIERS

PATH = "/phone"


class Ringing:
    """One call of a carrier, from the first ring until it knows where the socket is."""

    def __init__(self, target: Callee, transport: str, form: list[tuple[str, str]]) -> None:
        self._target = target
        self._transport = transport
        self._form = form
        self._url = target.url + PATH
        self.parameters: dict[str, str] = {}

    async def ask(self, signalling: Signalling) -> Started:
        """Raises CallFailed; on hold, `retry_after_s` is the length of the announcement, and the next `ask` goes on."""
        if self._transport not in CARRIERS:
            names = ", ".join(CARRIERS)
            why = f"`{self._transport}` has no webhook"
            raise CallFailed(Failure("signalling", why, f"leave --webhook out; these have one: {names}"))
        what = await self._told(signalling)
        if what.socket:
            await asyncio.sleep(what.seconds)
            self.parameters = what.parameters
            return Started(_session(what.socket), {"wsUrl": what.socket})
        words = f" and is told “{' '.join(what.said)}”" if what.said else ""
        if what.again:
            self._url = _below(self._target, what.again)
            hint = "a slot becomes free when a call ends; `pool.max` says how many there are"
            raise CallFailed(Failure("busy", f"the caller is on hold{words}", hint), retry_after_s=what.seconds)
        raise CallFailed(Failure("busy", f"the carrier hangs up{words}", "`voicedeploy logs` has the bot's side"))

    async def _told(self, signalling: Signalling) -> Told:
        target = self._target
        sign = CARRIERS[self._transport].sign
        proof = sign(target.signing, self._url, self._form) if target.signing else {}
        if not proof and target.key:
            proof = {"Authorization": f"Bearer {target.key}"}
        response = await signalling.post_form(self._url, self._form, proof)
        try:
            return told(response.content)
        except ValueError as why:
            hint = "`voicedeploy phone check` says what the carrier would make of it"
            raise CallFailed(Failure("signalling", f"the webhook's answer cannot be followed: {why}", hint)) from why


def _below(target: Callee, url: str) -> str:
    """The same place by the way that leads there from here; a bot may know itself by another address."""
    parts = urlsplit(url)
    return target.url + parts.path + (f"?{parts.query}" if parts.query else "")


def _session(socket: str) -> str | None:
    """Our front's sockets are named after the session."""
    before, _, last = urlsplit(socket).path.rpartition("/")
    return last if before.endswith("/ws") and last else None
