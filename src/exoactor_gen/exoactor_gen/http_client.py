"""A small HTTP client for services that take minutes: retries, time limits, cancelling, and a key that is never said.

The key travels in a header, to the service's own host only, and over https only (but for this machine). It is cut out
of every answer and of every text that an error carries, since services repeat it in what they complain of.
"""

from __future__ import annotations

import email.utils
import http.client
import ipaddress
import json
import re
import secrets
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from exoactor_core.errors import BadInput, ExoActorError, Missing, Refused, ServiceFailed

Tick = Callable[[], None]
"""Called several times a second while something is waited for; raises to break it off."""

TRIES = 5
"""How often a request is made that fails in passing."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""s before the second try, doubled from try to try, where the service does not say how long."""
LARGEST = 2**30
"""Bytes of an answer, at most."""

_KEY = re.compile(r"api.?key (not valid|invalid|expired)|(invalid|incorrect|expired) api.?key", re.I)
"""How a wrong key is named where the status is 400."""
_CONTENT = re.compile(
    r"content.?polic|usage polic|safety|moderation|sensitive|prohibited|nsfw|risk control|flagged|responsible ai", re.I
)
"""How the services name a refusal of what was asked for."""


@dataclass(frozen=True)
class Request:
    """One HTTP request; ``url`` is absolute, or continues the service's base URL."""

    url: str
    method: str = "GET"
    json: Any = None
    """Body as JSON."""
    form: dict[str, str | tuple[str, str, bytes]] = field(default_factory=dict)
    """Body as multipart/form-data: texts, or files as (name, MIME type, bytes)."""
    harmless: bool = False
    """A POST that may be made twice; every other method may."""
    limit: float = 0.0
    """s until the whole answer must be there; 0: the timeout of `Web`."""


class _Failure(Exception):
    """A request that brought nothing; ``status`` 0: no answer came."""

    def __init__(self, reason: str, status: int = 0, wait: float | None = None, acted: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.status, self.wait = reason, status, wait
        self.acted = acted
        """The service may have done what was asked nevertheless."""


class Web:
    """A service behind HTTP.

    Parameters
    ----------
    service
        Its name, for sentences.
    base_url
        What paths continue.
    key
        Secret that is sent along; empty: none.
    key_name
        Environment variable that the key came from, for sentences.
    header
        Header of the key, and what stands before the key in it.
    timeout
        s until a request is given up whose answer is not there, to its last byte.
    again
        Which failures with status 429 pass by waiting; the others mean that the account has nothing left.

    Raises
    ------
    BadInput
        The base URL is none, or the key is none or would travel unencrypted.
    """

    def __init__(
        self,
        service: str,
        base_url: str,
        key: str = "",
        key_name: str = "",
        header: tuple[str, str] = ("Authorization", "Bearer "),
        timeout: float = 60.0,
        again: Callable[[str], bool] = lambda reason: True,
    ) -> None:
        parts = urllib.parse.urlsplit(base_url)
        if "@" in base_url or parts.query or parts.fragment:
            raise BadInput(f"The base URL of {service} holds a password or a '?': keys are read from the environment.")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"'{base_url}' is no base URL of {service}: it begins with https:// and a host.")
        if not (key.isascii() and key.isprintable()):
            raise BadInput(f"The key in {key_name} holds characters that no key has: was it copied whole, on one line?")
        if key and travels_open(base_url):
            raise BadInput(f"The key of {service} would travel unencrypted to {parts.hostname}: give a URL with https.")
        self.service, self.base_url, self.timeout, self.again = service, base_url.rstrip("/"), timeout, again
        self._key, self._key_name, self._header = key, key_name, header
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler, urllib.request.UnknownHandler, urllib.request.HTTPHandler,
            urllib.request.HTTPSHandler, urllib.request.HTTPDefaultErrorHandler, urllib.request.HTTPRedirectHandler,
            urllib.request.HTTPErrorProcessor,
        ):  # fmt: skip
            self._opener.add_handler(handler())  # and none for files and ftp, where a redirect could lead

    def ask(self, request: Request, tick: Tick = lambda: None, until: float | None = None) -> Any:
        """Make a request and return its answer's JSON; raises as `fetch`."""
        body = self.fetch(request, tick, until)
        try:
            return self._without_key(json.loads(body)) if body.strip() else {}
        except ValueError:
            raise ServiceFailed(f"{self.service} answered with something that is no JSON.") from None

    def fetch(self, request: Request, tick: Tick = lambda: None, until: float | None = None) -> bytes:
        """Make a request, again where that may help, and return the answer's body.

        What may have had its effect (and its price) is not asked for again: a POST that was not answered, or that the
        server, or a proxy before it, answered with an error of its own (5xx).

        Parameters
        ----------
        request
            What to ask.
        tick
            Called while waiting.
        until
            `time.monotonic` at which there is no more trying.

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
        tried = 0
        while True:
            try:
                return self._watched(request, tick)
            except _Failure as failure:
                tried += 1
                wait = failure.wait if failure.wait is not None else min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (tried - 1))
                late = until is not None and time.monotonic() + wait > until
                if not self._passes(request, failure) or tried >= TRIES or late:
                    raise self._sentence(request, failure, tried) from None
            pause(wait, tick)

    def _passes(self, request: Request, failure: _Failure) -> bool:
        if failure.status == 429:
            return self.again(failure.reason)
        if request.method == "POST" and not request.harmless:
            return failure.status == 0 and not failure.acted
        return failure.status == 0 or failure.status in (408, 425) or failure.status >= 500

    def _watched(self, request: Request, tick: Tick) -> bytes:
        """Make the request in a thread, so that ``tick`` and the time limit can end the wait for a slow service."""
        limit = request.limit or self.timeout
        end = time.monotonic() + limit
        outcome: list[Any] = []
        done = threading.Event()

        def run() -> None:
            try:
                outcome.append((self._once(request, end), None))
            except BaseException as error:
                outcome.append((b"", error))
            done.set()

        threading.Thread(target=run, name="web", daemon=True).start()
        while not done.wait(0.2):
            tick()
            if time.monotonic() > end + 0.5:  # the thread itself notices at the next byte
                raise _Failure(f"no whole answer within {limit:g} s", acted=True)
        answer, error = outcome[0]
        if error is not None:
            raise error
        return answer

    def _once(self, request: Request, end: float) -> bytes:
        url = self._url(request)
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise ServiceFailed(f"{self.service} named a place that is no web address.")
        body, kind = _body(request)
        wire = urllib.request.Request(url, body, method=request.method, headers={"User-Agent": "exoactor"})
        if kind:
            wire.add_header("Content-Type", kind)
        if self._key and self._at_home(url):
            name, before = self._header
            wire.add_unredirected_header(name, before + self._key)  # not to where a redirect leads
        try:
            with self._opener.open(wire, timeout=self.timeout) as answer:
                data = _read(answer, end)
                expected = answer.headers.get("Content-Length")
        except urllib.error.HTTPError as error:
            with error:
                try:
                    text = _read(error, end, 1 << 20)
                except (OSError, http.client.HTTPException):
                    text = b""
            wait = _retry_after(error.headers.get("Retry-After"))
            raise _Failure(self._clean(_reason(text) or error.reason), error.code, wait) from None
        except http.client.IncompleteRead:
            raise _Failure("the answer broke off", acted=True) from None
        except TimeoutError:
            limit = request.limit or self.timeout
            raise _Failure(f"no whole answer within {limit:g} s", acted=True) from None
        except urllib.error.URLError as error:
            slow = isinstance(error.reason, TimeoutError)
            reason = f"no connection within {self.timeout:g} s" if slow else str(error.reason)
            broke = slow or isinstance(error.reason, ConnectionResetError | BrokenPipeError)
            raise _Failure(self._clean(reason), acted=broke) from None
        except (http.client.HTTPException, OSError) as error:
            raise _Failure(self._clean(str(error) or type(error).__name__), acted=True) from None
        if len(data) > LARGEST:
            raise ServiceFailed(f"The answer of {self.service} is larger than {LARGEST >> 20} MB.")
        if expected and expected.isdigit() and len(data) < int(expected):
            raise _Failure("the answer broke off", acted=True)
        return data

    def _sentence(self, request: Request, failure: _Failure, tried: int) -> ExoActorError:
        """What went wrong, as an error for the user."""
        said = f"{failure.status}: {failure.reason}" if failure.status else failure.reason
        status, service = failure.status, self.service
        url = self._url(request)
        host = urllib.parse.urlsplit(url).hostname
        if status in (400, 403, 422, 451) and _CONTENT.search(failure.reason):
            return refusal(service, failure.reason)
        if status in (401, 403) and not self._at_home(url):
            return ServiceFailed(f"{service} named a file at {host} that is not to be had, or no longer ({said}).")
        if status in (401, 403) or (status == 400 and _KEY.search(failure.reason)):
            if not self._key:
                return Missing(f"{service} wants a key ({said}): set {self._key_name or 'it'} in the environment.")
            return Missing(f"{service} does not accept the key in {self._key_name} ({said}).")
        if status == 402 or (status == 429 and not self.again(failure.reason)):
            return Missing(f"{service} wants to be paid ({said}): look at the account.")
        if status in (404, 410):
            return ServiceFailed(f"{service} does not know what was asked for, or no longer ({said}).")
        if status in (400, 405, 409, 413, 415, 422):
            return BadInput(f"{service} does not accept the request ({said}).")
        if status == 429:
            return ServiceFailed(f"{service} is busy, or the quota is used up ({said}): tried {tried} times.")
        if status == 0 and not failure.acted:
            return Missing(f"{service} cannot be reached at {host}: {said}.")
        if request.method == "POST" and not request.harmless:
            return ServiceFailed(
                f"{service} left it open whether it took the request ({said}): look there before sending it again."
            )
        return ServiceFailed(f"{service} does not work at present ({said}): tried {tried} times.")

    def _url(self, request: Request) -> str:
        return request.url if "://" in request.url else f"{self.base_url}/{request.url.lstrip('/')}"

    def _at_home(self, url: str) -> bool:
        """Whether this is the service's own host: no other gets the key."""
        parts, own = urllib.parse.urlsplit(url), urllib.parse.urlsplit(self.base_url)
        return (parts.scheme, parts.netloc) == (own.scheme, own.netloc)

    def _without_key(self, value: Any) -> Any:
        """An answer without the key."""
        if isinstance(value, str) and self._key:
            return value.replace(self._key, "[key]")
        if isinstance(value, list):
            return [self._without_key(v) for v in value]
        return {name: self._without_key(v) for name, v in value.items()} if isinstance(value, dict) else value

    def _clean(self, text: str) -> str:
        """One line without the key."""
        return " ".join(self._without_key(text).split())[:400].rstrip(". ")


def refusal(service: str, reason: str) -> ExoActorError:
    """The error for a job that failed with ``reason``: refused content, or anything else."""
    reason = " ".join(reason.split())[:400].rstrip(". ")
    if _CONTENT.search(reason):
        return Refused(f"{service} refuses the content: {reason}. Say the task in other words, or use another image.")
    return ServiceFailed(f"{service} failed: {reason or 'it gives no reason'}.")


def pause(seconds: float, tick: Tick) -> None:
    """Wait, calling ``tick`` meanwhile."""
    end = time.monotonic() + seconds
    tick()
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(0.2, left))
        tick()


def _read(answer: Any, end: float, most: int = LARGEST + 1) -> bytes:
    """Read a body until it ends or is longer than ``most``; raises TimeoutError at ``end`` on the monotonic clock."""
    data = bytearray()
    while len(data) < most and (part := answer.read1(1 << 16)):
        data += part
        if time.monotonic() > end:
            raise TimeoutError
    return bytes(data)


def _body(request: Request) -> tuple[bytes | None, str]:
    """Body and Content-Type."""
    if request.json is not None:
        return json.dumps(request.json).encode(), "application/json"
    if not request.form:
        return None, ""
    boundary, out = secrets.token_hex(16), bytearray()
    for name, value in request.form.items():
        out += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        if isinstance(value, str):
            out += b"\r\n\r\n" + value.encode()
        else:
            file, kind, data = value
            out += f'; filename="{file}"\r\nContent-Type: {kind}\r\n\r\n'.encode() + data
        out += b"\r\n"
    return bytes(out + f"--{boundary}--\r\n".encode()), f"multipart/form-data; boundary={boundary}"


def _reason(body: bytes) -> str:
    """What an error's body says, in any of the forms in use: {error: {message, code}}, {message}, {detail}."""
    try:
        value = json.loads(body)
    except ValueError:
        return "" if body.lstrip().startswith(b"<") else body.decode(errors="replace")  # whole: a key may be anywhere
    return explain(value)


def explain(value: Any) -> str:
    """Find the sentence in an error as services write it; empty where there is none."""
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
    place = value.get("loc")
    where = ".".join(str(part) for part in place if part != "body") if isinstance(place, list) else ""
    kind = next((str(value[n]) for n in ("code", "status", "type") if isinstance(value.get(n), str | int)), "")
    return (f"{where}: " if where else "") + text + (f" ({kind})" if kind and kind not in text else "")


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, which holds seconds or a date (RFC 9110, section 10.2.3)."""
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


def travels_open(url: str) -> bool:
    """Whether what is sent there can be read on the way: no https, and another machine."""
    parts = urllib.parse.urlsplit(url)
    try:
        return parts.scheme == "http" and not ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.scheme == "http" and parts.hostname != "localhost"
