"""What each server of a control plane is started with."""

from __future__ import annotations

from pathlib import Path

from support.servers.process import free_port

CONTROLLERS = (
    "deployment-controller,replicaset-controller,endpointslice-controller,job-controller,cronjob-controller,"
    "garbage-collector-controller,namespace-controller,statefulset-controller,daemonset-controller"
)


def etcd_flags(folder: Path, port: int, durable: bool) -> list[str]:
    """etcd alone. durable: what it says is written is on the disk."""
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}"
    return [
        "--name=test",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=test={peer}",
        "--log-level=warn",
        "--watch-progress-notify-interval=5s",  # as kubeadm sets it; without, quiet kinds get no bookmarks
        *(() if durable else ("--unsafe-no-fsync",)),
    ]


def apiserver_flags(folder: Path, port: int, etcd_port: int, serving: tuple[Path, Path], authority: Path) -> list[str]:
    """kube-apiserver with RBAC. serving: its certificate and key. authority: whose client certificates it believes."""
    key = folder / "service-accounts.key"
    return [
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--secure-port={port}",
        f"--tls-cert-file={serving[0]}",
        f"--tls-private-key-file={serving[1]}",
        f"--client-ca-file={authority}",
        f"--cert-dir={folder / 'certificates'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--disable-admission-plugins=ServiceAccount",
    ]


def audit_flags(folder: Path, log: Path) -> list[str]:
    """kube-apiserver writes down what it was asked, before it answers."""
    return [f"--audit-policy-file={folder / 'audit-policy.json'}", f"--audit-log-path={log}"]


def controller_flags(folder: Path, kubeconfig: Path) -> list[str]:
    """kube-controller-manager with what makes and removes pods and endpoints."""
    return [
        f"--kubeconfig={kubeconfig}",
        f"--controllers={CONTROLLERS}",
        "--leader-elect=false",
        "--use-service-account-credentials=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={free_port()}",
        f"--cert-dir={folder / 'certificates'}",
    ]


def kwok_flags(kubeconfig: Path, stages: Path) -> list[str]:
    """kwok for the nodes labelled type=kwok only: others may be played by somebody else."""
    return [
        f"--config={stages}",
        f"--kubeconfig={kubeconfig}",
        "--manage-all-nodes=false",
        "--manage-nodes-with-label-selector=type=kwok",
        "--cidr=10.245.0.1/16",
    ]
