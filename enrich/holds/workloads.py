"""Lays tracks out as columns: each pod's workload, labels and Services."""

from __future__ import annotations

from collections.abc import Iterable

from enrich.holds.cluster_track import ClusterTrack
from enrich.holds.pod_tables import Batch, Rows, Version
from enrich.holds.pod_track import PodTrack
from enrich.holds.time_bounds import BEFORE_ALL

HASHED = ("pod-template-hash", "rollouts-pod-template-hash")


def rows_of(track: ClusterTrack, uids: Iterable[str], *, last: bool = False) -> Batch:
    """Derive some of a cluster's pods. last: they leave the track."""
    rows = Rows()
    for uid in uids:
        pod = track.pods.pop(uid) if last else track.pods[uid]
        rows.add(pod, workload(pod, track), versions(pod, track))
    return rows.batch()


def workload(pod: PodTrack, track: ClusterTrack) -> tuple[str, str, str]:
    """Follow controllers by UID to the top: (kind, name, what is doubtful). A bare or static pod is its own."""
    owner = pod.owner
    if owner is None or owner.kind == "Node":
        return "Pod", pod.name, ""
    for _ in range(8):
        known = track.owners.get(owner.uid)
        if known is None or known.owner is None:
            break
        owner = known.owner
    if owner.kind == "ReplicaSet" and owner.uid not in track.owners:
        labels = dict(pod.labels[-1][1]) if pod.labels else {}
        for label in HASHED:
            suffix = f"-{labels.get(label, '')}"
            if len(suffix) > 1 and owner.name.endswith(suffix):
                kind = "Deployment" if label == HASHED[0] else "Rollout"
                return kind, owner.name.removesuffix(suffix), "workload by the name of a ReplicaSet never seen"
    return owner.kind, owner.name, ""


def versions(pod: PodTrack, track: ClusterTrack) -> list[Version]:
    """Merge the changes of labels, of images and of service membership into one line of versions."""
    members = track.members.get(pod.uid, [])
    if not members and len(pod.labels) == 1 and len(pod.images_since) <= 1:
        return [Version(BEFORE_ALL, pod.labels[0][1], "", pod.images)]
    changes = sorted({BEFORE_ALL, *(since for line in (pod.labels, members, pod.images_since) for since, _ in line)})
    found: list[Version] = []
    labels: tuple[tuple[str, str], ...] = ()
    services = ""
    images: tuple[str, ...] = ()
    by_label, by_member, by_image = dict(pod.labels), dict(members), dict(pod.images_since)
    for since in changes:
        labels = by_label.get(since, labels)
        services = by_member.get(since, services)
        images = by_image.get(since, images)
        found.append(Version(since, labels, services, images))
    return found
