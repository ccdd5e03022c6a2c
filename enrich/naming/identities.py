"""Identities that a mesh or SPIRE issues to pods: derived from trust domain, namespace and service account.

Derived, never read off the wire: it says which identity the pod was issued, not that a connection proved it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from enrich.history.entities import Entity
from enrich.holds.pod_tables import POD
from whowas.errors import ConfigError
from whowas.spiffe import NAMESPACE, Account, NoSpiffeId, linkerd_name, of_account, trust_domain
from whowas.toml_files import read_toml

KINDS = ("istio", "linkerd", "spire")
FORM = 'write [[issuer]] with kind = "istio", trust_domain = "cluster.local" (docs/how-to/identity.md)'
LINKERD_PLANE = "linkerd.io/control-plane-ns"
# What the meshes themselves write on pods that they have taken in; that a pod asks to be is not enough.
MARKS = {"istio": (("security.istio.io/tlsMode", "istio"),), "linkerd": ((LINKERD_PLANE, ""),), "spire": ()}
OUTSIDE = {
    "istio": (("sidecar.istio.io/inject", "false"), ("istio.io/dataplane-mode", "none")),
    "linkerd": (("linkerd.io/inject", "disabled"),),
    "spire": (),
}
FIELDS = ("kind", "trust_domain", "namespaces", "labels", "cluster", "control_plane", "root_namespace")


class Identity(NamedTuple):
    """What one pod was issued; None where that is not known."""

    spiffe_id: str | None = None
    dns_identity: str | None = None


NOBODY = Identity()


@dataclass(frozen=True)
class Issuer:
    """Who issues identities, and to which pods.

    namespaces: * and ? stand for any characters; labels: a pod must have all. Without both: to the pods that the mesh
    has marked as its own. cluster: of this alone, "" = of all. control_plane: Linkerd's own namespace.
    root_namespace: of Istio, whose policies there count for the whole mesh.
    """

    kind: str
    trust_domain: str
    namespaces: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    cluster: str = ""
    control_plane: str = "linkerd"
    root_namespace: str = "istio-system"

    def issues_to(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Say whether a pod has an identity of it."""
        marked = any(name in labels and value in ("", labels[name]) for name, value in MARKS[self.kind])
        if not self.namespaces and not self.labels:
            return marked
        out = any(labels.get(name) == value for name, value in OUTSIDE[self.kind])
        return self._chosen(namespace, labels) and (marked or not out)

    def _chosen(self, namespace: str, labels: Mapping[str, str]) -> bool:
        if self.namespaces and not any(fnmatchcase(namespace, one) for one in self.namespaces):
            return False
        return all(labels.get(name) == value for name, value in self.labels)

    def identity(self, account: Account, labels: Mapping[str, str]) -> Identity:
        """Return what it issues to a service account."""
        if self.kind == "linkerd":
            plane = labels.get(LINKERD_PLANE) or self.control_plane
            return Identity(dns_identity=linkerd_name(self.trust_domain, account, plane))
        made = of_account(self.trust_domain, account)
        return Identity(None if made is None else str(made))


def identity_of(issuers: tuple[Issuer, ...], cluster: str, pod: Entity, labels: Mapping[str, str]) -> Identity:
    """Return what a pod was issued. Where issuers do not agree nobody knows which it shows: none of the form.

    Args: labels: of the pod, then.
    """
    if pod.kind != POD or not pod.service_account:
        # On its node's network no sidecar stands before it.
        return NOBODY
    return account_identity(issuers, cluster, Account(pod.namespace, pod.service_account), labels)


def account_identity(
    issuers: tuple[Issuer, ...], cluster: str, account: Account, labels: Mapping[str, str]
) -> Identity:  # fmt: skip
    """As identity_of, of a service account's pod."""
    found = [
        one.identity(account, labels)
        for one in issuers
        if one.cluster in ("", cluster) and one.issues_to(account.namespace, labels)
    ]
    spiffe = {one.spiffe_id for one in found if one.spiffe_id}
    names = {one.dns_identity for one in found if one.dns_identity}
    return Identity(spiffe.pop() if len(spiffe) == 1 else None, names.pop() if len(names) == 1 else None)


def load_issuers(path: str) -> tuple[Issuer, ...]:
    """Read a TOML file of [[issuer]] tables. Raises: ConfigError naming the file and the table that cannot be used."""
    told = read_toml(path, "identities", FORM)
    several = told.get("issuer")
    if not isinstance(several, list) or not several or set(told) != {"issuer"}:
        raise ConfigError(f"cannot read identities '{path}': it has no tables [[issuer]], or others beside; {FORM}")
    return tuple(
        _issuer(one, f"cannot read identities '{path}': issuer {place}") for place, one in enumerate(several, 1)
    )


def _issuer(told: Any, where: str) -> Issuer:
    if not isinstance(told, dict):
        raise ConfigError(f"{where} is no table; {FORM}")
    for name in told:
        if name not in FIELDS:
            raise ConfigError(f"{where} has '{name}', which is unknown; say {', '.join(FIELDS)}")
    kind = _word(told, "kind", where)
    if kind not in KINDS:
        raise ConfigError(f"{where}: kind is '{kind[:40]}'; say one of {', '.join(KINDS)}")
    labels = told.get("labels", {})
    namespaces = told.get("namespaces", [])
    if not isinstance(labels, dict) or not all(isinstance(one, str) for one in labels.values()):
        raise ConfigError(f'{where}: labels is no table of texts; write labels = {{ app = "web" }}')
    if not isinstance(namespaces, list) or not all(isinstance(one, str) and one for one in namespaces):
        raise ConfigError(f'{where}: namespaces is no list of names; write namespaces = ["shop", "data-*"]')
    if kind == "spire" and not namespaces and not labels:
        raise ConfigError(f"{where}: SPIRE marks no pods; say to whom it issues: namespaces, labels, or both")
    made = Issuer(
        kind, _domain(told, where), tuple(namespaces), tuple(sorted(labels.items())),
        _word(told, "cluster", where, ""), _word(told, "control_plane", where, "linkerd"),
        _word(told, "root_namespace", where, "istio-system"),
    )  # fmt: skip
    if not NAMESPACE.fullmatch(made.control_plane):
        raise ConfigError(f"{where}: control_plane is no name of a namespace")
    return made


def _domain(told: dict[str, Any], where: str) -> str:
    try:
        return trust_domain(_word(told, "trust_domain", where))
    except NoSpiffeId as error:
        raise ConfigError(f"{where}: trust_domain cannot be used: {error}; write it like cluster.local") from error


def _word(told: dict[str, Any], name: str, where: str, default: str | None = None) -> str:
    found = told.get(name, default)
    if not isinstance(found, str):
        raise ConfigError(f"{where}: {name} is {'absent' if found is None else 'no text'}; {FORM}")
    return found
