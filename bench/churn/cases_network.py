"""Adversarial cases 23, 25 to 27: addresses that are no pod's own: nodes, Services, masquerading; two clusters."""

from __future__ import annotations

from bench.churn.background import plan
from bench.churn.cases_pods import spread
from bench.churn.cases_watch import busy
from bench.churn.cluster import Cluster
from bench.churn.questions import Asker, Question
from bench.churn.story import Story
from bench.churn.times import SECOND
from bench.churn.truth import Hold
from bench.churn.world import Process

EDGE = 2 * SECOND


def asked(asker: Asker, hold: Hold, word: str, **more: object) -> list[Question]:
    """Some questions well inside a hold, with what must be said."""
    found = []
    low, high = max(hold.start, asker.recording.first) + EDGE, min(hold.end, asker.recording.last) - EDGE
    for _ in range(12 if high > low else 0):
        time = asker.dice.randrange(low, high)
        decided = asker.recording.looked(time, time)
        found.append(Question(asker.recording.cluster, hold.ip, time, time, hold, decided, decided, True, word, **more))  # type: ignore[arg-type]
    return found


def shared_node_address(story: Story) -> None:
    """23. Several host-network pods and their node share one address; a node gets another address."""
    world, dice = story.world, story.world.dice

    def steps() -> Process:
        for node in world.nodes:
            for n in range(2):
                world.create(f"host-{n}-{node.name}", node, plan(world), host_network=True, workload=f"host-{n}")
        yield dice.uniform(40, 70)
        node = dice.choice(world.nodes)
        uid = f"{world.name}-{node.name}"
        old = next(one for one in world.holds if one.ip == node.ip)
        old.end, node.ip = world.now, f"192.168.77.{node.number + 100}"
        world.write("MODIFIED", world.node_object(node, uid))
        world.holds.append(Hold(node.ip, [uid], world.now, kind="node", name=node.name, told=True))

    world.start(steps(), 5)

    def more(asker: Asker) -> list[Question]:
        nodes = [one for one in story.world.holds if one.kind == "node"]
        return [one for hold in nodes for one in asked(asker, hold, "node")]

    story.more.append(more)


def two_clusters(story: Story) -> None:
    """25. Two clusters use one range of addresses, each with its own pods on them; they are never mixed."""
    spread(story, busy, times=8)


def reused_service_address(story: Story) -> None:
    """26. A ClusterIP is deleted and given to another Service at once; backends are asked beside it."""
    world, dice = story.world, story.world.dice

    def steps(ip: str) -> Process:
        for n in range(5):
            uid = world.service(f"svc-{ip[-2:]}-{n}", ip, ("app", dice.choice(("app-0", "app-1"))))
            yield dice.uniform(0.3, 25)
            world.drop_service(uid)
            yield dice.choice((0.0001, 0.01, 0.5, 8.0))

    for n in range(4):
        world.start(steps(f"10.96.0.{50 + n}"), dice.uniform(2, 20))

    def more(asker: Asker) -> list[Question]:
        services = [one for one in story.world.holds if one.kind == "service"]
        found = [one for hold in services for one in asked(asker, hold, "service")]
        for hold in services:
            for by in (-SECOND, -100_000, -1, 0, 1, 100_000, SECOND):
                if asker.recording.first < hold.end + by < asker.recording.last:
                    found.append(asker.question(hold.ip, hold.end + by, True))
        return found

    story.more.append(more)
    spread(story, busy)


def masqueraded(story: Story) -> None:
    """27. Egress through the node's address is `snat`, never a pod; a node port is its Service; a hairpin likewise."""
    world = story.world
    world.service("door", "10.96.0.80", ("app", "app-0"), node_port=30080)
    world.service("gate", "10.96.0.81", ("app", "app-1"), node_port=30081)
    spread(story, busy)

    def more(asker: Asker) -> list[Question]:
        found = []
        for hold in [one for one in story.world.holds if one.kind == "node"]:
            found += asked(asker, hold, "snat", side="src", port=443)
            for other in _pods_elsewhere(story.world, hold)[:3]:
                found += asked(asker, hold, "snat", side="src", port=8080, other=other)
        for node in story.world.nodes:
            for name, port in (("door", 30080), ("gate", 30081)):
                service = next(one for one in story.world.holds if one.kind == "service" and one.name == name)
                door = Hold(node.ip, list(service.uids), service.start, service.end, "service", name, True)
                found += asked(asker, door, "service", port=port)
        for service in [one for one in story.world.holds if one.kind == "service"]:
            found += asked(asker, service, "service", port=80, other="10.77.0.2")
        return found

    story.more.append(more)


def _pods_elsewhere(world: Cluster, node: Hold) -> list[str]:
    """Addresses of pods of other nodes."""
    return sorted({one.ip for one in world.holds if one.kind == "pod" and one.node != node.name})
