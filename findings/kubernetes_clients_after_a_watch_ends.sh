#!/usr/bin/env bash
# Five Python clients of Kubernetes, when the server ends a watch as it does every half hour: four ways to go on.
#
# Versions: kubernetes 37.0.2, kubernetes_asyncio 36.1.0, lightkube 1.0.1, kr8s 0.20.15, pykube-ng 23.6.0; Python 3.11.
# Guess: the loop goes on for ever, and each watch begins at the newest resourceVersion that the one before has seen.
# Behaviour: kubernetes, kubernetes_asyncio and lightkube do that. But with deserialize=False (what one takes for speed, or
# because a model refuses an object) kubernetes never learns a version: every watch begins where the first one did and tells all
# changes since then again, a deletion too, until that version is too old. The loops of kr8s and pykube-ng end with the first
# watch, without an error: what follows is for who called them. And neither begins at the version of the list that it has made.
# The server here is thirty lines that answer as the API's documentation says, bookmarks included; nothing else is asked of it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{ python3 -m venv "$work/env" && "$work/env/bin/pip" install -q --disable-pip-version-check \
  kubernetes==37.0.2 kubernetes_asyncio==36.1.0 lightkube==1.0.1 kr8s==0.20.15 pykube-ng==23.6.0; } || exit 2
cd "$work"
env/bin/python - <<'PY'
import asyncio
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


def pod(version):
    meta = {"name": "a", "namespace": "default", "uid": "u", "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [{"name": "c"}]}, "status": {}}


CHANGES = [("ADDED", 100), ("MODIFIED", 101), ("DELETED", 102)]  # the list is as of 100
POD = {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": ["list", "watch"]}
PAGES = {
    "/version": {"major": "1", "minor": "35", "gitVersion": "v1.35.0"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "groups": []},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [POD]},
}


class Answer(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        asked = urlsplit(self.path)
        query = dict(parse_qsl(asked.query))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        if not asked.path.endswith("/pods"):
            self.tell(PAGES[asked.path.rstrip("/")])
        elif query.get("watch", "").lower() not in ("1", "true"):
            self.tell({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "100"}, "items": [pod(100)]})
        else:
            self.watch(query.get("resourceVersion"))

    def watch(self, version):
        """Tell what came after a version; without one, what is there first. Then end, as after the timeout."""
        self.server.watches.append(version)
        first = len(self.server.watches) == 1
        for kind, at in CHANGES:
            if at > int(version or 0) and (first or version):
                self.tell({"type": kind, "object": pod(at)})
        time.sleep(0.05)

    def tell(self, thing):
        self.wfile.write(json.dumps(thing).encode() + b"\n")


def kubeconfig(url):
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": "x", "users": [{"name": "u", "user": {"token": "t"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "default"}}],
    }


def kubernetes(url, told, **how):
    import kubernetes as library

    api = library.client.CoreV1Api(library.client.ApiClient(library.client.Configuration(host=url)))
    begin = api.list_namespaced_pod("default").metadata.resource_version
    for event in library.watch.Watch().stream(api.list_namespaced_pod, "default", resource_version=begin, **how):
        told.append(event["type"])


def kubernetes_raw(url, told):
    kubernetes(url, told, deserialize=False)


def kubernetes_asyncio(url, told):
    import kubernetes_asyncio as library

    async def run():
        async with library.client.ApiClient(library.client.Configuration(host=url)) as client:
            api = library.client.CoreV1Api(client)
            begin = (await api.list_namespaced_pod("default")).metadata.resource_version
            async for event in library.watch.Watch().stream(api.list_namespaced_pod, "default", resource_version=begin):
                told.append(event["type"])

    asyncio.run(run())


def lightkube(url, told):
    import lightkube as library
    from lightkube.config.kubeconfig import KubeConfig
    from lightkube.resources.core_v1 import Pod

    client = library.Client(config=KubeConfig.from_dict(kubeconfig(url)).get())
    pods = client.list(Pod, namespace="default")
    list(pods)
    for kind, _ in client.watch(Pod, namespace="default", resource_version=pods.resourceVersion):
        told.append(kind)


def kr8s(url, told):
    import kr8s as library

    with open("kubeconfig.json", "w") as out:
        json.dump(kubeconfig(url), out)
    api = library.api(kubeconfig="kubeconfig.json")
    list(api.get("pods", namespace="default"))
    for kind, _ in api.watch("pods", namespace="default"):
        told.append(kind)


def pykube(url, told):
    import pykube as library

    pods = library.Pod.objects(library.HTTPClient(library.KubeConfig(kubeconfig(url)))).filter(namespace="default")
    list(pods)
    for event in pods.watch():
        told.append(event.type)


def watched(client):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads, server.watches, told, ends = True, [], [], []

    def run():
        try:
            client(f"http://127.0.0.1:{server.server_port}", told)
            ends.append("ends")
        except Exception as error:  # each library has its own kinds
            ends.append(repr(error))

    threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Thread(target=run, daemon=True).start()
    for _ in range(1200):  # until the loop ends, or has begun a fourth watch
        if ends or len(server.watches) > 3:
            break
        time.sleep(0.1)
    return ends[0] if ends else "goes on", server.watches[:3], told[:6]


seen = {client.__name__: watched(client) for client in (kubernetes, kubernetes_raw, kubernetes_asyncio, lightkube, kr8s, pykube)}
for name, (loop, watches, told) in seen.items():
    print(f"{name:<19} {loop:<8} watches from {watches}: {' '.join(told)}")
resumed = ("goes on", ["100", "102", "102"], ["MODIFIED", "DELETED"])
ended = ("ends", [None], ["ADDED", "MODIFIED", "DELETED"])
again = ("goes on", ["100", "100", "100"], ["MODIFIED", "DELETED"] * 3)
right = seen == {
    "kubernetes": resumed, "kubernetes_raw": again, "kubernetes_asyncio": resumed, "lightkube": resumed, "kr8s": ended, "pykube": ended,
}
sys.stdout.flush()
os._exit(not right)
PY
