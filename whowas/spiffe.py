"""SPIFFE ids: read strictly, compared by the standard. Source: SPIFFE-ID, the standard's sections 2.1 to 2.4.

Scheme and trust domain are the same in either case and are kept small; the path is kept as it is. The standard's
bounds on length are held here, since no library holds them.
"""

from __future__ import annotations

import re
from typing import NamedTuple

SCHEME = "spiffe://"
LONGEST = 2048
LONGEST_DOMAIN = 255
DOMAIN = re.compile(r"[a-z0-9._-]+")
SEGMENT = re.compile(r"[A-Za-z0-9._-]+")
LINKERD = ".serviceaccount.identity."
# A namespace is a label of DNS, a service account a name of several.
NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
ACCOUNT = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LONGEST_ACCOUNT = 253


class NoSpiffeId(ValueError):
    """A text that is no SPIFFE id. Its own text is what is wrong with it, without the text itself."""


class SpiffeId(NamedTuple):
    """One identity. trust_domain: small letters. path: "" or begins with a slash."""

    trust_domain: str
    path: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.trust_domain}{self.path}"


class Account(NamedTuple):
    """A service account of a namespace."""

    namespace: str
    name: str


def trust_domain(text: str) -> str:
    """Return a trust domain in small letters. Raises: NoSpiffeId."""
    if not text:
        raise NoSpiffeId("its trust domain is empty")
    if len(text) > LONGEST_DOMAIN:
        raise NoSpiffeId(f"its trust domain has more than {LONGEST_DOMAIN} characters")
    small = text.lower() if text.isascii() else ""
    if not DOMAIN.fullmatch(small):
        raise NoSpiffeId("its trust domain has other characters than letters, digits, '.', '-' and '_'")
    return small


def parse(text: str) -> SpiffeId:
    """Read a SPIFFE id. Raises: NoSpiffeId."""
    if len(text) > LONGEST:
        raise NoSpiffeId(f"it has more than {LONGEST} characters")
    if text[: len(SCHEME)].lower() != SCHEME:
        raise NoSpiffeId("it does not begin with spiffe://")
    domain, slash, path = text[len(SCHEME) :].partition("/")
    found = trust_domain(domain)
    if slash:
        for one in path.split("/"):
            _check_segment(one)
    return SpiffeId(found, slash + path)


def _check_segment(text: str) -> None:
    if not text:
        raise NoSpiffeId("its path has an empty part, or ends in a slash")
    if text in (".", ".."):
        raise NoSpiffeId("its path has a part '.' or '..'")
    if not SEGMENT.fullmatch(text):
        raise NoSpiffeId("its path has other characters than letters, digits, '.', '-' and '_'")


def same(one: str, other: str) -> bool:
    """Say whether two texts are one identity. Raises: NoSpiffeId where one of them is none."""
    return parse(one) == parse(other)


def account_of(found: SpiffeId) -> Account | None:
    """Return whose identity it is, of the form that Istio and SPIRE's usual template give; None for other forms."""
    parts = found.path.split("/")
    if len(parts) != 5 or (parts[1], parts[3]) != ("ns", "sa"):
        return None
    return Account(parts[2], parts[4])


def of_account(domain: str, account: Account) -> SpiffeId | None:
    """Return a service account's identity in that form; None for names that no apiserver takes.

    Args: domain: as trust_domain returns it.
    """
    if not _is_account(account):
        return None
    made = SpiffeId(domain, f"/ns/{account.namespace}/sa/{account.name}")
    return made if len(str(made)) <= LONGEST else None


def linkerd_name(domain: str, account: Account, control_plane: str) -> str | None:
    """Return Linkerd's identity of a service account, which is a name of DNS; None as of_account.

    Args: control_plane: the namespace that Linkerd itself is in.
    """
    if not _is_account(account) or not NAMESPACE.fullmatch(control_plane):
        return None
    return f"{account.name}.{account.namespace}{LINKERD}{control_plane}.{domain}"


def linkerd_account(name: str, domain: str, control_plane: str) -> Account | None:
    """Return whose identity a name is in Linkerd's form; None for what is none of this trust domain.

    A service account's name may hold dots, so the last label before the known end is the namespace.
    """
    end = f"{LINKERD}{control_plane}.{domain}"
    small = name.lower()
    if not small.endswith(end):
        return None
    account, _, namespace = small[: -len(end)].rpartition(".")
    found = Account(namespace, account)
    return found if _is_account(found) else None


def _is_account(account: Account) -> bool:
    if len(account.name) > LONGEST_ACCOUNT:
        return False
    return bool(NAMESPACE.fullmatch(account.namespace) and ACCOUNT.fullmatch(account.name))
