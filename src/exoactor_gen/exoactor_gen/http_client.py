"""A client for HTTP services that take minutes: httpx makes the requests, and tenacity repeats them.

This module decides which requests may be repeated, limits the time of each complete answer, translates errors for the
user, and protects the key: it is sent in a header, to the service's own host only, and over https only (except on this
machine), and is removed from every answer and error, since services repeat it in their messages.
"""

from __future__ import annotations

import email.utils
import ipaddress
import json
import re
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import tenacity

from exoactor_core.errors import BadInput, ExoActorError, Missing, Refused, ServiceFailed
from exoactor_gen.waiting import Tick, pause, run_in_thread

MAX_ATTEMPTS = 5
"""Maximum number of attempts for temporary failures."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""s before the second attempt, then doubled each time, if the service does not say how long."""
MAX_ANSWER_BYTES = 2**30
"""Maximum size of an answer, bytes."""

_KEY = re.compile(r"api.?key (not valid|invalid|expired)|(invalid|incorrect|expired) api.?key", re.I)
"""Messages of a wrong key with status 400."""
_CONTENT = re.compile(
    r"content.?polic|usage polic|safety|moderation|sensitive|prohibited|nsfw|risk control|flagged|responsible ai", re.I
)
"""Terms with which services refuse content."""


@dataclass(frozen=True)
class Request:
    """One HTTP request; ``url`` is absolute, or relative to the service's base URL."""

    url: str
    method: str = "GET"
    json: Any = None
    """Body as JSON."""
    form: dict[str, str | tuple[str, str, bytes]] = field(default_factory=dict)
    """Body as multipart/form-data: text fields, or files as (name, MIME type, bytes)."""
    idempotent: bool = False
    """Whether a POST may be repeated; all other methods may."""
    limit: float = 0.0
    """s within which the whole answer must arrive; 0: the timeout of `HttpClient`."""


class _Failure(Exception):
    """A failed request; ``status`` 0: no answer."""

    def __init__(self, reason: str, status: int = 0, wait: float | None = None, may_have_acted: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.status, self.wait = reason, status, wait
        self.may_have_acted = may_have_acted
        """Whether the service may have acted on the request nevertheless."""


class HttpClient:
    """A service behind HTTP.

    Parameters
    ----------
    service
        Its name, for messages.
    base_url
        Base of relative URLs.
    key
        Secret that is sent with each request; empty: none.
    key_name
        Environment variable of the key, for messages.
    header
        Header of the key, and the prefix of its value.
    timeout
        s after which a request without a complete answer is given up.
    is_temporary
        Whether a failure with status 429 is temporary; otherwise the account is exhausted.

    Raises
    ------
    BadInput
        The base URL or the key is invalid, or the key would be sent unencrypted.
    """

    def __init__(
        self,
        service: str,
        base_url: str,
        key: str = "",
        key_name: str = "",
        header: tuple[str, str] = ("Authorization", "Bearer "),
        timeout: float = 60.0,
        is_temporary: Callable[[str], bool] = lambda reason: True,
    ) -> None:
        parts = urllib.parse.urlsplit(base_url)
        if "@" in base_url or parts.query or parts.fragment:
            raise BadInput(f"The base URL of {service} holds a password or a '?': keys are read from the environment.")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"'{base_url}' is not a base URL of {service}: it begins with https:// and a host.")
        if not (key.isascii() and key.isprintable()):
            raise BadInput(f"The key in {key_name} holds characters that no key has: was it copied whole, on one line?")
        if key and is_unencrypted(base_url):
            raise BadInput(f"The key of {service} would travel unencrypted to {parts.hostname}: give a URL with https.")
        self.service, self.base_url, self.timeout = service, base_url.rstrip("/"), timeout
        self.is_temporary = is_temporary
        self._key, self._key_name, self._header = key, key_name, header
        self._client = httpx2.Client(
            follow_redirects=True, headers={"User-Agent": "exoactor"}, event_hooks={"request": [self._authorise]}
        )

    def _authorise(self, request: httpx2.Request) -> None:
        """Add the key for the service's own host, and remove it from redirects to others."""
        name, prefix = self._header
        request.headers.pop(name, None)
        if self._key and self._is_own_host(str(request.url)):
            request.headers[name] = prefix + self._key

    def fetch_json(self, request: Request, tick: Tick = lambda: None, until: float | None = None) -> Any:
        """Make a request and return the JSON of its answer; raises as `fetch`."""
        body = self.fetch(request, tick, until)
        try:
            return self._without_key(json.loads(body)) if body.strip() else {}
        except ValueError:
            raise ServiceFailed(f"{self.service} answered with something that is not JSON.") from None

    def fetch(self, request: Request, tick: Tick = lambda: None, until: float | None = None) -> bytes:
        """Make a request, with retries where they may help, and return the answer's body.

        Requests that may have had an effect (and a price) are not repeated: POSTs without an answer, or with an error
        of the server or a proxy (5xx). ``tick`` is called while waiting; after ``until`` (`time.monotonic`) there are
        no further attempts.

        Raises
        ------
        BadInput
            The service does not accept the request.
        Missing
            It cannot be reached, or refuses the key.
        Refused
            It refuses the content.
        ServiceFailed
            It is busy, is broken, or did not answer in time.
        """
        backoff = tenacity.wait_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)

        def wait(state: tenacity.RetryCallState) -> float:
            failure = state.outcome and state.outcome.exception()
            asked = failure.wait if isinstance(failure, _Failure) else None
            return backoff(state) if asked is None else asked

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda e: isinstance(e, _Failure) and self._may_repeat(request, e)),
            wait=wait,
            stop=lambda state: (
                state.attempt_number >= MAX_ATTEMPTS
                or (until is not None and time.monotonic() + state.upcoming_sleep > until)
            ),
            sleep=lambda seconds: pause(seconds, tick),
            reraise=True,
        )
        limit = request.limit or self.timeout
        try:
            return retrying(self._once, request, limit, tick)
        except _Failure as failure:
            raise self._user_error(request, failure, retrying.statistics["attempt_number"]) from None

    def _may_repeat(self, request: Request, failure: _Failure) -> bool:
        if failure.status == 429:
            return self.is_temporary(failure.reason)
        if request.method == "POST" and not request.idempotent:
            return failure.status == 0 and not failure.may_have_acted
        return failure.status == 0 or failure.status in (408, 425) or failure.status >= 500

    def _once(self, request: Request, limit: float, tick: Tick) -> bytes:
        end = time.monotonic() + limit
        try:
            # httpx limits each read rather than the whole answer, and cannot be cancelled
            return run_in_thread(lambda alive: self._read(request, limit, end), tick, limit=limit + 0.5)
        except (httpx2.UnsupportedProtocol, httpx2.InvalidURL):
            raise ServiceFailed(f"{self.service} named a location that is not a web address.") from None
        except httpx2.ConnectTimeout:
            raise _Failure(f"no connection within {limit:g} s") from None
        except httpx2.ConnectError as error:
            raise _Failure(self._clean(str(error))) from None
        except (httpx2.TimeoutException, TimeoutError):
            raise _Failure(f"no whole answer within {limit:g} s", may_have_acted=True) from None
        except httpx2.RemoteProtocolError:
            raise _Failure("the answer broke off", may_have_acted=True) from None
        except (httpx2.HTTPError, OSError) as error:
            raise _Failure(self._clean(str(error) or type(error).__name__), may_have_acted=True) from None

    def _read(self, request: Request, limit: float, end: float) -> bytes:
        parts = {
            name: (None, value) if isinstance(value, str) else (value[0], value[2], value[1])
            for name, value in request.form.items()
        }
        body: dict[str, Any] = {"json": request.json} if request.json is not None else {"files": parts or None}
        data = bytearray()
        with self._client.stream(request.method, self._url(request), timeout=limit, **body) as answer:
            for part in answer.iter_bytes():
                data += part
                if len(data) > MAX_ANSWER_BYTES:
                    raise ServiceFailed(f"The answer of {self.service} is larger than {MAX_ANSWER_BYTES >> 20} MB.")
                if time.monotonic() > end:
                    raise TimeoutError
        if answer.is_success:
            return bytes(data)
        reason = self._clean(_reason(bytes(data)) or answer.reason_phrase)
        raise _Failure(reason, answer.status_code, _retry_after(answer.headers.get("Retry-After")))

    def _user_error(self, request: Request, failure: _Failure, tried: int) -> ExoActorError:
        """Translate a failure to an error for the user."""
        said = f"{failure.status}: {failure.reason}" if failure.status else failure.reason
        status, service = failure.status, self.service
        url = self._url(request)
        host = urllib.parse.urlsplit(url).hostname
        if status in (400, 403, 422, 451) and _CONTENT.search(failure.reason):
            return refusal(service, failure.reason)
        if status in (401, 403) and not self._is_own_host(url):
            return ServiceFailed(f"{service} named a file at {host} that is not available, or no longer ({said}).")
        if status in (401, 403) or (status == 400 and _KEY.search(failure.reason)):
            if not self._key:
                return Missing(f"{service} needs a key ({said}): set {self._key_name or 'it'} in the environment.")
            return Missing(f"{service} does not accept the key in {self._key_name} ({said}).")
        if status == 402 or (status == 429 and not self.is_temporary(failure.reason)):
            return Missing(f"{service} requires payment ({said}): look at the account.")
        if status in (404, 410):
            return ServiceFailed(f"{service} has no such model, job or file, or no longer ({said}).")
        if status in (400, 405, 409, 413, 415, 422):
            return BadInput(f"{service} does not accept the request ({said}).")
        if status == 429:
            return ServiceFailed(f"{service} is busy, or the quota is used up ({said}): tried {tried} times.")
        if status == 0 and not failure.may_have_acted:
            return Missing(f"{service} cannot be reached at {host}: {said}.")
        if request.method == "POST" and not request.idempotent:
            return ServiceFailed(
                f"{service} left it open whether it took the request ({said}): look there before sending it again."
            )
        return ServiceFailed(f"{service} does not work at present ({said}): tried {tried} times.")

    def _url(self, request: Request) -> str:
        return request.url if "://" in request.url else f"{self.base_url}/{request.url.lstrip('/')}"

    def _is_own_host(self, url: str) -> bool:
        """Whether this is the service's own host, the only one that gets the key."""
        parts, own = urllib.parse.urlsplit(url), urllib.parse.urlsplit(self.base_url)
        return (parts.scheme, parts.netloc) == (own.scheme, own.netloc)

    def _without_key(self, value: Any) -> Any:
        """An answer with the key removed."""
        if isinstance(value, str) and self._key:
            return value.replace(self._key, "[key]")
        if isinstance(value, list):
            return [self._without_key(v) for v in value]
        return {name: self._without_key(v) for name, v in value.items()} if isinstance(value, dict) else value

    def _clean(self, text: str) -> str:
        """One line with the key removed."""
        return " ".join(self._without_key(text).split())[:400].rstrip(". ")


def refusal(service: str, reason: str) -> ExoActorError:
    """The error for a job that failed with ``reason``: refused content, or anything else."""
    reason = " ".join(reason.split())[:400].rstrip(". ")
    if _CONTENT.search(reason):
        return Refused(f"{service} refuses the content: {reason}. Say the task in other words, or use another image.")
    return ServiceFailed(f"{service} failed: {reason or 'it gives no reason'}.")


def _reason(body: bytes) -> str:
    """Message in an error's body, in any of the usual forms: {error: {message, code}}, {message}, {detail}."""
    try:
        value = json.loads(body)
    except ValueError:
        return "" if body.lstrip().startswith(b"<") else body.decode(errors="replace")  # uncut: it may contain the key
    return explain(value)


def explain(value: Any) -> str:
    """Find the sentence in an error of a service; empty if there is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "; ".join(filter(None, (explain(v) for v in value[:3])))
    if not isinstance(value, dict):
        return ""
    for name in ("error", "detail", "errors"):
        if value.get(name):
            return explain(value[name])
    text = explain(value.get("message") or value.get("msg") or value.get("title") or "")
    loc = value.get("loc")
    where = ".".join(str(part) for part in loc if part != "body") if isinstance(loc, list) else ""
    kind = next((str(value[n]) for n in ("code", "status", "type") if isinstance(value.get(n), str | int)), "")
    return (f"{where}: " if where else "") + text + (f" ({kind})" if kind and kind not in text else "")


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, which contains seconds or a date (RFC 9110, section 10.2.3)."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def is_unencrypted(url: str) -> bool:
    """Whether the connection could be read by others: no https, and another machine."""
    parts = urllib.parse.urlsplit(url)
    try:
        return parts.scheme == "http" and not ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.scheme == "http" and parts.hostname != "localhost"
