"""An OCI image of a few files, made without a registry: `ctr images import` takes it. Source: OCI image-spec 1.1."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Any

_KIND = "application/vnd.oci.image."
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_image(path: Path, name: str, files: dict[str, bytes], entrypoint: list[str]) -> None:
    """Write an archive of an image with one layer of executable files. The same input gives the same bytes."""
    layer = _tar(files, 0o755)
    packed = gzip.compress(layer, 1, mtime=0)
    platform_of = {"architecture": _MACHINES.get(platform.machine(), platform.machine()), "os": "linux"}
    config = _json({
        **platform_of, "config": {"Entrypoint": entrypoint}, "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]}
    })  # fmt: skip
    manifest = _json({
        "schemaVersion": 2, "mediaType": f"{_KIND}manifest.v1+json",
        "config": _descriptor("config.v1+json", config), "layers": [_descriptor("layer.v1.tar+gzip", packed)],
    })  # fmt: skip
    entry = _descriptor("manifest.v1+json", manifest) | {
        "platform": platform_of, "annotations": {"io.containerd.image.name": name}
    }  # fmt: skip
    index = {"schemaVersion": 2, "mediaType": f"{_KIND}index.v1+json", "manifests": [entry]}
    blobs = {f"blobs/sha256/{_digest(one)[7:]}": one for one in (config, packed, manifest)}
    path.write_bytes(_tar({"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": _json(index), **blobs}))


def _tar(files: dict[str, bytes], mode: int = 0o644) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _descriptor(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": f"{_KIND}{kind}", "digest": _digest(data), "size": len(data)}
