"""A recorded cluster whose mesh's policies change, as evidence lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.policy_story import PODS, SPACES, bookmarks, line, pod, thing

ALLOW_SHOP = {"rules": [{"from": [{"source": {"namespaces": ["shop"]}}], "to": [{"operation": {"ports": ["5432"]}}]}]}
STRICT = {"mtls": {"mode": "STRICT"}}
ISSUER = '[[issuer]]\nkind = "istio"\ntrust_domain = "corp.example"\nnamespaces = ["shop", "batch", "data"]\n'


def meshed(name: str) -> dict[str, Any]:
    made = pod(name)
    made["spec"]["serviceAccountName"] = made["metadata"]["name"].split("-")[0]
    return made


def story(folder: Path) -> Path:
    """Watched from 10:00 to 12:00. data/to-db stands from the start, changed at 11:00; STRICT comes at 11:30."""
    text = "".join(line("ADDED", "10:00:00", meshed(name)) for name in PODS)
    text += "".join(line("ADDED", "10:00:00", thing("Namespace", name, labels=said)) for name, said in SPACES.items())
    policy = thing("AuthorizationPolicy", "to-db", "data", ALLOW_SHOP)
    text += line("ADDED", "10:00:00", policy)
    late = ALLOW_SHOP | {"action": "DENY"}
    text += line("MODIFIED", "11:00:00", thing("AuthorizationPolicy", "to-db", "data", late))
    made = {"creationTimestamp": "2026-11-20T11:30:00Z"}
    text += line("ADDED", "11:30:00", thing("PeerAuthentication", "default", "data", STRICT, meta=made))
    kinds = ("Pod", "Namespace", "NetworkPolicy", "AuthorizationPolicy", "PeerAuthentication")
    text += "".join(bookmarks(f"{10 + minute // 60}:{minute % 60:02}:30", *kinds) for minute in range(1, 120))
    path = folder / "history.jsonl"
    path.write_text(text + "".join(line("MODIFIED", "11:59:59", meshed(name)) for name in PODS))
    (folder / "identities.toml").write_text(ISSUER)
    return path
