"""A carrier's REST interface, and what its refusals mean."""

from collections.abc import Mapping
from typing import Any

import httpx

from voicedeploy.api.authorities import trusted
from voicedeploy.errors import NotReady, StepFailed

TIMEOUT_S = 20.0


class Rest:
    """`keys` are the names to blame when the carrier does not let us in; the values are in `auth` or `headers`."""

    def __init__(
        self,
        carrier: str,
        base_url: str,
        keys: tuple[str, ...],
        *,
        auth: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._carrier = carrier
        self._keys = keys
        self._http = httpx.Client(base_url=base_url, auth=auth, headers=headers, timeout=TIMEOUT_S, verify=trusted())

    def get(self, path: str, **params: str | int) -> dict[str, Any] | None:
        """None: there is no such thing."""
        return self._ask("GET", path, params=params)

    def change(
        self, method: str, path: str, *, form: Mapping[str, str] | None = None, json: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        answer = self._ask(method, path, data=form, json=json)
        if answer is None:
            raise StepFailed(
                f"{self._carrier}: {method} {path}: there is no such thing", hint="`voicedeploy phone list`"
            )
        return answer

    def _ask(self, method: str, path: str, **what: Any) -> dict[str, Any] | None:
        try:
            answer = self._http.request(method, path, **{key: value for key, value in what.items() if value})
        except httpx.HTTPError as error:
            raise self._failure(method, f"{type(error).__name__}: {error}", "is this machine online?") from error
        if answer.status_code == 404:
            return None
        if answer.status_code in (401, 403):
            hint = f"look at {' and '.join(self._keys)}"
            raise NotReady(f"{self._carrier} does not let us in ({answer.status_code})", hint=hint)
        if answer.is_error:
            raise self._failure(method, f"{answer.status_code} {_said(answer)}", "see the carrier's dashboard")
        try:
            said = answer.json() if answer.content else {}
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise self._failure(method, "an answer that is not JSON", "see the carrier's status page")
        return said

    def _failure(self, method: str, said: str, hint: str) -> NotReady | StepFailed:
        kind = NotReady if method == "GET" else StepFailed
        return kind(f"{self._carrier}: {said}", hint=hint)


def _said(answer: httpx.Response) -> str:
    """The reason in the carrier's own words."""
    try:
        body = answer.json()
    except ValueError:
        return answer.text[:200]
    errors = body.get("errors") if isinstance(body, dict) else None
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else body
    for key in ("detail", "message", "error", "title"):
        if isinstance(first, dict) and first.get(key):
            return str(first[key])[:200]
    return answer.text[:200]
