"""Which rights the recorder has, found by asking the apiserver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from ingest.cluster.watch.api_client import Client, Connection
from ingest.cluster.watch.resources import ADMIN_POLICIES, LEASE_NAMESPACE, LEASES, MESH, RESOURCES, Resource
from whowas.errors import WhowasError

VERBS = ("get", "list", "watch")
# All that the recorder reads, for a reviewer to sign: deploy/rbac.yaml grants it, no more.
OF_ISTIO = tuple(versions[0] for versions in MESH)
ALL = (*RESOURCES, *(versions[0] for versions in ADMIN_POLICIES), *OF_ISTIO, LEASES)
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True)
class Right:
    """One verb on one resource. Without an optional one the recorder works; what is not known then says `costs`."""

    verb: str
    resource: Resource
    allowed: bool

    @property
    def optional(self) -> bool:
        """Say whether the recorder does without it."""
        return self.resource.optional

    def __str__(self) -> str:
        where = f" in namespace {LEASE_NAMESPACE}" if self.resource is LEASES else ""
        return f"{self.verb} {self.resource.name}{where}{' (optional)' if self.optional else ''}"


class Verdict(msgspec.Struct):
    """status of a SelfSubjectAccessReview."""

    allowed: bool = False


class Review(msgspec.Struct):
    """A SelfSubjectAccessReview that was answered. Source: authorization.k8s.io/v1."""

    status: Verdict


def rights(connection: Connection, *, istio: bool = False) -> list[Right]:
    """Ask for get, list and watch on every resource. Raises: WhowasError when the server does not answer.

    Args: istio: its policies too.
    """
    client = connection.client()
    try:
        several = [one for one in ALL if istio or one not in OF_ISTIO]
        return [Right(verb, one, _allowed(client, verb, one)) for one in several for verb in VERBS]
    finally:
        client.close()


def missing_rights(connection: Connection, *, istio: bool = False) -> list[str]:
    """Return what is not allowed, as `list pods` or `watch replicasets.apps`; [] when nothing is missing."""
    return [str(one) for one in rights(connection, istio=istio) if not one.allowed]


def _allowed(client: Client, verb: str, resource: Resource) -> bool:
    asked: dict[str, Any] = {"verb": verb, "group": resource.group, "resource": resource.plural}
    if resource is LEASES:
        asked["namespace"] = LEASE_NAMESPACE
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    doing = "ask which rights there are"
    answer = client.post(REVIEWS, body, asked=doing)
    try:
        return msgspec.json.decode(answer, type=Review).status.allowed
    except msgspec.DecodeError as error:
        raise WhowasError(
            f"cannot {doing}: the answer is no SelfSubjectAccessReview: {error}; check the server"
        ) from error
