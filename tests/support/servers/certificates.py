"""A certificate authority of a test's own: the server's certificate, and users who come with one."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*words: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, f"openssl {words[0]}: {done.stderr}"


def signing_key(path: Path) -> Path:
    """Write a private key, such as service-account tokens are signed with."""
    _openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", path)
    return path


class Authority:
    """A certificate authority in a folder; `certificate` is the PEM file that clients trust."""

    def __init__(self, folder: Path, name: str = "whowas-test") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.certificate = folder / "authority.pem"
        self._key = folder / "authority.key"
        _openssl(
            "req", "-x509", *NEW_KEY, "-days", "30", "-subj", f"/CN={name}",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", self._key, "-out", self.certificate,
        )  # fmt: skip

    def issue(self, name: str, groups: Sequence[str] = (), alternative: str = "", days: int = 30) -> tuple[Path, Path]:
        """Return the PEM files of a new certificate and its key.

        Args: name, groups: the user that Kubernetes reads from it. alternative: a server's subjectAltName.
        days: how long it is valid; 0 = no longer when this returns.
        """
        certificate, key, asked = (self.folder / f"{name.replace(':', '-')}.{end}" for end in ("pem", "key", "csr"))
        subject = "".join(f"/O={group}" for group in groups) + f"/CN={name}"
        extensions = self.folder / "extensions"
        extensions.write_text(
            "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\nkeyUsage=critical,digitalSignature\n"
            + (
                "extendedKeyUsage=serverAuth\nsubjectAltName=" + alternative
                if alternative
                else "extendedKeyUsage=clientAuth"
            )
        )
        _openssl("req", *NEW_KEY, "-subj", subject, "-keyout", key, "-out", asked)
        _openssl(
            "x509", "-req", "-in", asked, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
            "-days", str(days), "-extfile", extensions, "-out", certificate,
        )  # fmt: skip
        return certificate, key
