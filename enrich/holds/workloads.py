"""Lays tracks out as columns: each pod's workload, labels and Services."""

from __future__ import annotations

from collections.abc import Iterable

from enrich.holds.cluster_track import ClusterTrack
from enrich.holds.pod_tables import Batch, Rows
from enrich.holds.pod_track import Boxes, PodTrack
from enrich.holds.versions import Version, merged
from whowas.timestamps import BEFORE_ALL

HASHED = ("pod-template-hash", "rollouts-pod-template-hash")
NO_BOXES: Boxes = ((), ())


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
        # Whoever takes a pod out of its ReplicaSet changes its labels: those before count as well.
        ever = {pair for _, labels in pod.labels for pair in labels if pair[0] in HASHED}
        for label, text in sorted(ever):
            if text and owner.name.endswith(f"-{text}"):
                kind = "Deployment" if label == HASHED[0] else "Rollout"
                return kind, owner.name.removesuffix(f"-{text}"), "workload by the name of a ReplicaSet never seen"
    return owner.kind, owner.name, ""


def versions(pod: PodTrack, track: ClusterTrack) -> list[Version]:
    """Merge the changes of labels, of containers and of service membership into one line of versions."""
    members = track.members.get(pod.uid, ())
    if not members and len(pod.labels) == 1 and len(pod.boxes) <= 1:
        return [Version(BEFORE_ALL, pod.labels[0][1], "", *(pod.boxes[0][1] if pod.boxes else NO_BOXES))]
    lines = merged((pod.labels, members, pod.boxes), ((), "", NO_BOXES))
    return [Version(since, labels, services, *boxes) for since, (labels, services, boxes) in lines]
