"""Classifies the errors of an apiserver."""

from __future__ import annotations

import ssl
from email.utils import parsedate_to_datetime
from time import time

import msgspec

from whowas.errors import WhowasError

# A server, or somebody in its place, may ask for any pause; longer than this nobody stays blind.
PAUSE_MOST_SECONDS = 300.0
TEXT_MOST = 400


class Told(msgspec.Struct):
    """A Status, as far as it is read. Source: metav1.Status."""

    code: int | None = None
    reason: str | None = None
    message: str | None = None


class Refused(WhowasError):
    """An answer that is no success: `status` as in HTTP, whether it came as one or inside an ERROR event."""

    def __init__(self, asked: str, status: int, reason: str, pause_seconds: float | None = None) -> None:
        super().__init__(f"cannot {asked}: the server answered {status}: {reason[:TEXT_MOST]}; {_advice(status)}")
        self.status = status
        self.reason = reason
        self.pause_seconds = pause_seconds


class Unreachable(WhowasError):
    """No answer, or one that broke off.

    `certificate`: somebody answered whose certificate is not to be trusted. `silent`: an answer that had begun did
    not go on for as long as one waits.
    """

    def __init__(self, asked: str, error: BaseException, *, silent: bool = False) -> None:
        self.silent = silent
        self.certificate = _of_certificate(error)
        super().__init__(f"cannot {asked}: {_cause(error)}; {_remedy(error)}")


class Unreadable(WhowasError):
    """A line or page that is no JSON, or too long to be one."""

    def __init__(self, asked: str, reason: str, *, too_long: bool = False) -> None:
        super().__init__(f"cannot {asked}: {reason}; it is asked for again")
        self.too_long = too_long


def refused(asked: str, status: int, body: bytes, retry_after: str | None) -> Refused:
    """Return what an HTTP answer other than 200 means."""
    reason = ""
    try:
        told = msgspec.json.decode(body, type=Told)
        reason = told.message or told.reason or ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        reason = body[:TEXT_MOST].decode("utf-8", "replace").strip()
    return Refused(asked, status, reason or "no reason given", pause_seconds(retry_after))


def pause_seconds(header: str | None) -> float | None:
    """Read a Retry-After header: seconds or a date; None when it says nothing. Source: RFC 9110, 10.2.3."""
    if not header:
        return None
    try:
        seconds = float(header) if header.strip().isdigit() else parsedate_to_datetime(header).timestamp() - time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), PAUSE_MOST_SECONDS)


def _advice(status: int) -> str:
    return {
        401: "the credentials are wrong or have expired: renew them",
        403: "grant get, list and watch on it, as deploy/ does",
        404: "this server does not have it",
        410: "what happened since is no longer kept there",
    }.get(status, "it is tried again")


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found and len(found) < 10:
        found.append(error)
        reason = getattr(error, "reason", None)
        inner = next((one for one in error.args if isinstance(one, BaseException)), None)
        error = reason if isinstance(reason, BaseException) else error.__cause__ or inner or error.__context__
    return found


def _of_certificate(error: BaseException) -> bool:
    return any(isinstance(one, ssl.SSLCertVerificationError) for one in _chain(error))


def _cause(error: BaseException) -> str:
    """Say in words what went wrong deepest down: the errors around it only repeat it with addresses of objects."""
    deepest = _chain(error)[-1]
    if isinstance(deepest, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted ({deepest.verify_message})"
    if isinstance(deepest, ConnectionRefusedError):
        return "connection refused"
    if isinstance(deepest, TimeoutError) or "timed out" in str(deepest).lower():
        return "no answer in time"
    return (str(deepest) or type(deepest).__name__)[:TEXT_MOST]


def _remedy(error: BaseException) -> str:
    if _of_certificate(error):
        return "check certificate-authority and server of the kubeconfig"
    return "check that the server runs and can be reached from here"
