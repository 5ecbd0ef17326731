"""Stand-ins for the interfaces of Twilio, Telnyx and Plivo. They are not the carriers: they hold requests to the public
descriptions (paths, credentials, the fields of the carriers' own SDKs, required ones) and refuse everything else."""

import base64
import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Row = dict[str, Any]
Fields = dict[str, Any]


class Refused(Exception):
    def __init__(self, status: int, body: Row) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


@dataclass
class Standin:
    """The account: `numbers` by number, `applications` by id. `changes` counts requests that changed something."""

    base: str = ""
    numbers: dict[str, Row] = field(default_factory=dict)
    applications: dict[str, Row] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    broken: str = ""
    """A regular expression of requests that fail with 500."""

    keys: dict[str, str] = field(default_factory=dict)
    routes: list[tuple[str, str, Callable[..., tuple[int, Row]]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        raise NotImplementedError

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, Row]:
        parts = urlsplit(target)
        self.admit(headers.get("authorization", ""))
        if self.broken and re.search(self.broken, f"{method} {parts.path}"):
            return 500, {"message": "out of order"}
        for verb, pattern, handler in self.routes:
            if verb == method and (match := re.fullmatch(pattern, parts.path)):
                if method != "GET":
                    self.changes.append(f"{method} {parts.path}")
                return handler(*match.groups(), self.fields(method, parts.query, headers, body))
        return 404, {"message": "not found"}

    def admit(self, authorization: str) -> None:
        raise NotImplementedError

    def fields(self, method: str, query: str, headers: Any, body: bytes) -> Fields:
        if method == "GET":
            return dict(parse_qsl(query, keep_blank_values=True))
        if not body:
            return {}
        assert headers["content-type"] == "application/json", headers["content-type"]
        return dict(json.loads(body))


def only(fields: Fields, known: str, *, required: str = "", status: int = 400) -> None:
    unknown = set(fields) - set(known.split()) - set(required.split())
    missing = [name for name in required.split() if not fields.get(name)]
    if unknown or missing:
        message = f"unknown: {sorted(unknown)}, missing: {missing}"
        raise Refused(status, {"message": message, "errors": [{"title": "Invalid", "detail": message}]})


def basic(authorization: str, user: str, password: str) -> None:
    if authorization != "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode():
        raise Refused(401, {"code": 20003, "message": "Authenticate"})


class Twilio(Standin):
    sid = "AC" + "0" * 32
    token = "t" * 32

    def __post_init__(self) -> None:
        self.keys = {"TWILIO_ACCOUNT_SID": self.sid, "TWILIO_AUTH_TOKEN": self.token}
        root = f"/2010-04-01/Accounts/{self.sid}"
        self.routes = [
            ("GET", rf"{root}/IncomingPhoneNumbers\.json", self.list),
            ("POST", rf"{root}/IncomingPhoneNumbers/(PN\w+)\.json", self.edit),
            ("GET", rf"{root}/Applications/(\w+)\.json", self.get),
            ("POST", rf"{root}/Applications\.json", self.create),
            ("POST", rf"{root}/Applications/(AP\w+)\.json", self.change),
            ("DELETE", rf"{root}/Applications/(AP\w+)\.json", self.delete),
        ]

    def add(self, number: str, target: str = "", url: str = "") -> None:
        sid = f"PN{len(self.numbers):032}"
        trunk, app = (target, "") if target.startswith("TK") else ("", target)
        self.numbers[number] = {
            "phone_number": number, "sid": sid, "voice_url": url,
            "voice_application_sid": app or None, "trunk_sid": trunk or None,
        }  # fmt: skip

    def target(self, number: str) -> str:
        row = self.numbers[number]
        return row["trunk_sid"] or row["voice_application_sid"] or ""

    def admit(self, authorization: str) -> None:
        basic(authorization, self.sid, self.token)

    def fields(self, method: str, query: str, headers: Any, body: bytes) -> Fields:
        if method == "GET":
            return super().fields(method, query, headers, body)
        assert not body or headers["content-type"] == "application/x-www-form-urlencoded"
        return dict(parse_qsl(body.decode(), keep_blank_values=True))

    def list(self, fields: Fields) -> tuple[int, Row]:
        only(fields, "Beta FriendlyName PhoneNumber Origin PageSize Page PageToken")
        rows = [row for number, row in self.numbers.items() if fields.get("PhoneNumber", "") in number]
        page, size = int(fields.get("Page", 0)), min(int(fields["PageSize"]), 2)
        following = f"/2010-04-01/Accounts/{self.sid}/IncomingPhoneNumbers.json?PageSize={size}&Page={page + 1}"
        return 200, {
            "incoming_phone_numbers": rows[page * size : (page + 1) * size],
            "next_page_uri": following if len(rows) > (page + 1) * size else None,
        }

    def edit(self, sid: str, fields: Fields) -> tuple[int, Row]:
        only(
            fields,
            "FriendlyName SmsApplicationSid StatusCallback StatusCallbackMethod VoiceApplicationSid VoiceFallbackUrl "
            "VoiceMethod VoiceUrl TrunkSid VoiceReceiveMode BundleSid AddressSid IdentitySid",
        )
        row = next(row for row in self.numbers.values() if row["sid"] == sid)
        if "VoiceApplicationSid" in fields:
            wanted = fields["VoiceApplicationSid"]
            if wanted and wanted not in self.applications:
                raise Refused(400, {"code": 21219, "message": f"VoiceApplicationSid {wanted} is not valid"})
            row["voice_application_sid"], row["trunk_sid"] = wanted or None, None
        if "TrunkSid" in fields:
            row["trunk_sid"], row["voice_application_sid"] = fields["TrunkSid"] or None, None
        return 200, row

    def get(self, sid: str, fields: Fields) -> tuple[int, Row]:
        only(fields, "")
        return (200, self.applications[sid]) if sid in self.applications else (404, {"message": "not found"})

    KNOWN = (
        "ApiVersion FriendlyName VoiceUrl VoiceMethod VoiceFallbackUrl VoiceFallbackMethod StatusCallback "
        "StatusCallbackMethod VoiceCallerIdLookup SmsUrl SmsMethod SmsFallbackUrl SmsFallbackMethod SmsStatusCallback "
        "MessageStatusCallback PublicApplicationConnectEnabled"
    )

    def create(self, fields: Fields) -> tuple[int, Row]:
        only(fields, self.KNOWN)
        if len(fields.get("FriendlyName", "")) > 64:
            raise Refused(400, {"message": "FriendlyName is too long"})
        sid = f"AP{len(self.changes):032}"
        self.applications[sid] = {"sid": sid, "friendly_name": fields["FriendlyName"], "voice_url": None}
        self.change(sid, fields)
        return 201, self.applications[sid]

    def change(self, sid: str, fields: Fields) -> tuple[int, Row]:
        only(fields, self.KNOWN)
        assert fields["VoiceMethod"] == "POST"
        self.applications[sid]["voice_url"] = fields["VoiceUrl"]
        return 200, self.applications[sid]

    def delete(self, sid: str, fields: Fields) -> tuple[int, Row]:
        del self.applications[sid]
        return 204, {}


class Telnyx(Standin):
    key = "KEY" + "0" * 20

    def __post_init__(self) -> None:
        self.keys = {"TELNYX_API_KEY": self.key}
        self.routes = [
            ("GET", "/v2/phone_numbers", self.list),
            ("PATCH", r"/v2/phone_numbers/(\d+)", self.edit),
            ("GET", r"/v2/texml_applications/(\d+)", self.get),
            ("POST", "/v2/texml_applications", self.create),
            ("PATCH", r"/v2/texml_applications/(\d+)", self.change),
            ("DELETE", r"/v2/texml_applications/(\d+)", self.delete),
        ]

    def add(self, number: str, target: str = "", url: str = "") -> None:
        self.numbers[number] = {
            "phone_number": number, "id": str(900 + len(self.numbers)), "connection_id": target or None,
        }  # fmt: skip

    def target(self, number: str) -> str:
        return str(self.numbers[number]["connection_id"] or "")

    def admit(self, authorization: str) -> None:
        if authorization != f"Bearer {self.key}":
            raise Refused(401, {"errors": [{"title": "Authentication failed", "detail": "no such key"}]})

    def list(self, fields: Fields) -> tuple[int, Row]:
        only(fields, "page[number] page[size] filter[phone_number] filter[connection_id] sort")
        wanted = fields.get("filter[phone_number]", "")
        rows = [row for number, row in self.numbers.items() if wanted in number]
        page, size = int(fields["page[number]"]), min(int(fields["page[size]"]), 2)
        pages = max(1, -(-len(rows) // size))
        return 200, {"data": rows[(page - 1) * size : page * size], "meta": {"total_pages": pages}}

    def edit(self, id: str, fields: Fields) -> tuple[int, Row]:
        only(
            fields,
            "tags external_pin customer_reference connection_id billing_group_id address_id hd_voice_enabled",
            status=422,
        )
        if not isinstance(fields["connection_id"], str):
            raise Refused(422, {"errors": [{"title": "Invalid", "detail": "connection_id is a string"}]})
        row = next(row for row in self.numbers.values() if row["id"] == id)
        row["connection_id"] = fields["connection_id"] or None
        return 200, {"data": row}

    def get(self, id: str, fields: Fields) -> tuple[int, Row]:
        only(fields, "")
        found = self.applications.get(id)
        return (200, {"data": found}) if found else (404, {"errors": [{"title": "Not found"}]})

    KNOWN = (
        "active anchorsite_override call_cost_in_webhooks dtmf_type first_command_timeout first_command_timeout_secs "
        "inbound outbound status_callback status_callback_method tags voice_fallback_url voice_method"
    )

    def create(self, fields: Fields) -> tuple[int, Row]:
        id = str(100 + len(self.changes))
        self.applications[id] = {"id": id}
        self.change(id, fields)
        return 201, {"data": self.applications[id]}

    def change(self, id: str, fields: Fields) -> tuple[int, Row]:
        only(fields, self.KNOWN, required="friendly_name voice_url", status=422)
        assert fields["voice_method"] in ("get", "post")
        self.applications[id] |= {"friendly_name": fields["friendly_name"], "voice_url": fields["voice_url"]}
        return 200, {"data": self.applications[id]}

    def delete(self, id: str, fields: Fields) -> tuple[int, Row]:
        return 200, {"data": self.applications.pop(id)}


class Plivo(Standin):
    id = "MA" + "0" * 18
    token = "p" * 40

    def __post_init__(self) -> None:
        self.keys = {"PLIVO_AUTH_ID": self.id, "PLIVO_AUTH_TOKEN": self.token}
        root = f"/v1/Account/{self.id}"
        self.routes = [
            ("GET", f"{root}/Number/", self.list),
            ("GET", rf"{root}/Number/(\d+)/", self.one),
            ("POST", rf"{root}/Number/(\d+)/", self.edit),
            ("GET", rf"{root}/Application/(\w+)/", self.get),
            ("POST", f"{root}/Application/", self.create),
            ("POST", rf"{root}/Application/(\w+)/", self.change),
            ("DELETE", rf"{root}/Application/(\w+)/", self.delete),
        ]

    def add(self, number: str, target: str = "", url: str = "") -> None:
        digits = number.removeprefix("+")
        self.numbers[digits] = {"number": digits, "application": self._path(target)}

    def target(self, number: str) -> str:
        linked = self.numbers[number.removeprefix("+")]["application"]
        return linked.split("/")[-2] if linked else ""

    def _path(self, target: str) -> str | None:
        return f"/v1/Account/{self.id}/Application/{target}/" if target else None

    def admit(self, authorization: str) -> None:
        basic(authorization, self.id, self.token)

    def list(self, fields: Fields) -> tuple[int, Row]:
        only(fields, "type number_startswith subaccount alias services limit offset")
        if not 0 < int(fields["limit"]) <= 20:
            raise Refused(400, {"error": "limit is too large"})
        offset, limit = int(fields["offset"]), min(int(fields["limit"]), 2)
        rows = list(self.numbers.values())
        more = "/v1/…" if len(rows) > offset + limit else None
        return 200, {"meta": {"limit": limit, "offset": offset, "next": more}, "objects": rows[offset : offset + limit]}

    def one(self, number: str, fields: Fields) -> tuple[int, Row]:
        return (200, self.numbers[number]) if number in self.numbers else (404, {"error": "not found"})

    def edit(self, number: str, fields: Fields) -> tuple[int, Row]:
        only(fields, "app_id subaccount alias verification_info cnam_lookup")
        self.numbers[number]["application"] = self._path(fields["app_id"])
        return 202, {"api_id": "a", "message": "changed"}

    def get(self, id: str, fields: Fields) -> tuple[int, Row]:
        return (200, self.applications[id]) if id in self.applications else (404, {"error": "not found"})

    KNOWN = (
        "answer_url answer_method hangup_url hangup_method fallback_answer_url fallback_method message_url "
        "message_method default_number_app default_endpoint_app subaccount log_incoming_messages public_uri"
    )

    def create(self, fields: Fields) -> tuple[int, Row]:
        only(fields, self.KNOWN, required="app_name")
        if not re.fullmatch(r"[A-Za-z0-9_-]+", fields["app_name"]):
            raise Refused(400, {"error": "app_name: letters, digits, - and _"})
        id = str(500 + len(self.changes))
        self.applications[id] = {"app_id": id, "app_name": fields["app_name"], "answer_url": fields["answer_url"]}
        return 201, {"api_id": "a", "app_id": id, "message": "created"}

    def change(self, id: str, fields: Fields) -> tuple[int, Row]:
        only(fields, self.KNOWN)
        self.applications[id]["answer_url"] = fields["answer_url"]
        return 202, {"api_id": "a", "message": "changed"}

    def delete(self, id: str, fields: Fields) -> tuple[int, Row]:
        del self.applications[id]
        return 204, {}


KINDS: dict[str, type[Any]] = {"twilio": Twilio, "telnyx": Telnyx, "plivo": Plivo}


@contextlib.contextmanager
def serving(kind: str) -> Iterator[Any]:
    """A stand-in that answers at `base`."""
    standin = KINDS[kind]()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            try:
                status, said = standin.answer(self.command, self.path, self.headers, body)
            except Refused as error:
                status, said = error.status, error.body
            text = b"" if status == 204 else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_DELETE = _any  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        standin.base = f"http://127.0.0.1:{server.server_address[1]}"
        yield standin
        server.shutdown()
        thread.join()
