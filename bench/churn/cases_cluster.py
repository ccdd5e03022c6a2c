"""Adversarial cases 19 to 24 and 28 to 34: force, lost nodes, clocks, labels, owners, annotations, mirrors."""

from __future__ import annotations

import ipaddress

from bench.churn.addresses import Pool
from bench.churn.cases_pods import held, let_go, meant, spread, successor
from bench.churn.cluster import Cluster
from bench.churn.pod import Pod
from bench.churn.story import Story
from bench.churn.times import SECOND, stamp
from bench.churn.truth import Sight, Versions
from bench.churn.world import Node, Process


def forced(world: Cluster, node: Node) -> Process:
    """19. Deleted by force, the containers send on; then somebody else has the address."""
    pod = world.create(f"zombie-{world.uid()[-4:]}", node, meant(world))
    pod.plan.force_kill = world.dice.uniform(3, 35)
    yield from held(pod)
    yield world.dice.uniform(0.2, 15)
    if not pod.holds:
        return
    new = successor(world, node, pod.holds[0].ip)
    world.force(pod)
    yield from let_go(pod)
    yield from held(new)
    yield world.dice.uniform(5, 30)
    world.delete(new, 5)


def lost_node(story: Story) -> None:
    """20. A node is cut off and comes back: its pods are asked to go, some by force, some by the garbage collector."""
    world, dice = story.world, story.world.dice

    def steps() -> Process:
        node = dice.choice(world.nodes)
        several = [world.create(f"lost-{n}-{world.uid()[-4:]}", node, meant(world)) for n in range(4)]
        for pod in several:
            yield from held(pod)
        yield dice.uniform(2, 10)
        node.cut = True
        away = dice.uniform(40, 75)
        node.lost.append([world.now - 40 * SECOND, world.now + int((away + 30) * SECOND)])
        world.start(_back(node), away)
        yield dice.uniform(10, 30)
        for pod in several:
            if pod.gone:
                continue
            way = dice.random()
            other = dice.choice([one for one in world.nodes if one is not node])
            world.create(f"instead-{pod.name}", other, meant(world))
            if way < 0.4:
                world.delete(pod, 30)
            elif way < 0.6:
                world.force(pod)
            elif way < 0.8:
                _collected(world, pod)

    world.start(steps(), dice.uniform(5, 20))
    world.start(steps(), dice.uniform(60, 80))


def _back(node: Node) -> Process:
    node.cut = False
    yield 0


def _collected(world: Cluster, pod: Pod) -> None:
    """The pod garbage collector writes Failed, of a pod whose containers may run on, and forces it away."""
    if pod.published:
        status, sight = pod.published
        pod.published = (status | {"phase": "Failed"}, sight)
        world.kubelets.update(pod, "patch status")
    world.force(pod)


def long_grace(world: Cluster, node: Node) -> Process:
    """21. A minute of grace, used: traffic goes on long after the request, deletionTimestamp lies ahead."""
    pod = world.create(f"patient-{world.uid()[-4:]}", node, meant(world))
    pod.plan.stop = world.dice.uniform(20, 70)
    yield from held(pod)
    yield world.dice.uniform(1, 20)
    ip = pod.holds[0].ip if pod.holds else ""
    world.delete(pod, world.dice.choice((60, 120)))
    yield from let_go(pod)
    if ip:
        new = successor(world, node, ip)
        yield from held(new)


def finalizer(world: Cluster, node: Node) -> Process:
    """22. A finalizer holds the object for a minute and more; the address is somebody else's long since."""
    pod = world.create(f"held-{world.uid()[-4:]}", node, meant(world))
    pod.plan.finalizer = world.dice.uniform(40, 120)
    yield from held(pod)
    yield world.dice.uniform(1, 15)
    ip = pod.holds[0].ip if pod.holds else ""
    world.delete(pod, 10)
    yield from let_go(pod)
    if ip:
        new = successor(world, node, ip)
        yield from held(new)
        yield world.dice.uniform(2, 20)
        world.relabel(pod, pod.labels | {"stale": "yes"})


def dual_stack(story: Story) -> None:
    """24. Two families: one is reused and the other is not; IPv6 in any spelling, IPv4 mapped into IPv6."""
    world, dice = story.world, story.world.dice
    for node in world.nodes:
        node.pool6 = Pool([f"fd00:77:{node.number}::{n:x}" for n in range(10, 22)], "random", dice)

    def spell(ip: str) -> str:
        one = ipaddress.ip_address(ip)
        if one.version == 4:
            return ip if dice.random() < 0.5 else f"::ffff:{ip}"
        return dice.choice(
            (one.compressed, one.exploded, one.exploded.upper(), f"0{one.compressed}".replace("0f", "f"))
        )

    def steps(world: Cluster, node: Node) -> Process:
        pod = world.create(f"dual-{world.uid()[-4:]}", node, meant(world), spell=spell)
        yield from held(pod)
        yield dice.uniform(1, 15)
        ips = [one.ip for one in pod.holds]
        world.delete(pod, 5)
        yield from let_go(pod)
        if len(ips) == 2:
            wanted = (ips[0], "") if dice.random() < 0.5 else ("", ips[1])
            new = world.create(f"half-{world.uid()[-4:]}", node, meant(world, wanted=wanted), spell=spell)
            yield from held(new)
            yield dice.uniform(3, 20)
            world.delete(new, 5)

    spread(story, steps)


def clock_steps(story: Story) -> None:
    """28. Clocks up to 5 s off, put right or wrong on the way; who asks has a clock of his own."""
    world, dice = story.world, story.world.dice
    for node in world.nodes:
        for _ in range(2):
            by = -node.offset if dice.random() < 0.5 and not node.steps else int(dice.uniform(-4, 4) * SECOND)
            node.steps.append((story.at(dice.uniform(20, 140)), by))
    from bench.churn.cases_watch import busily

    busily(story)


def labels_change(world: Cluster, node: Node) -> Process:
    """29. Labels change while connections last; policies are edited within the same second."""
    dice = world.dice
    pod = world.create(f"face-{world.uid()[-4:]}", node, meant(world), labels={"app": "app-0", "tier": "a"})
    yield from held(pod)
    for turn in range(4):
        yield dice.uniform(0.4, 6)
        world.relabel(pod, {"app": dice.choice(("app-0", "app-1", "none")), "tier": "ab"[turn % 2], "turn": str(turn)})
        policy = {
            "kind": "NetworkPolicy", "apiVersion": "networking.k8s.io/v1",
            "metadata": {"name": "gate", "namespace": "shop", "uid": f"{world.name}-policy",
                         "creationTimestamp": stamp(world.now)},
            "spec": {"podSelector": {"matchLabels": {"tier": "ab"[turn % 2]}}, "policyTypes": ["Ingress"]},
        }  # fmt: skip
        yield dice.uniform(0.01, 1)
        world.write("MODIFIED", policy)
    world.delete(pod, 5)


def namespace_teardown(story: Story) -> None:
    """30. A namespace goes with all that is in it: owners first, pods at their leisure, addresses to others."""
    world, dice = story.world, story.world.dice

    def steps() -> Process:
        owner, name = world.deployment("doomed")
        space = world._bare("Namespace", "v1", "", "doomed", world.uid())
        world.write("ADDED", space)
        several = []
        for n in range(6):
            node = dice.choice(world.nodes)
            several.append(
                world.create(f"{name}-{n}", node, meant(world), namespace="doomed", owner=owner, workload="doomed")
            )
        for pod in several:
            yield from held(pod)
        yield dice.uniform(3, 15)
        space["metadata"]["deletionTimestamp"] = stamp(world.now)
        world.write("MODIFIED", space)
        world.collect(owner)
        for pod in several:
            ip = pod.holds[0].ip if pod.holds else ""
            world.delete(pod, dice.choice((2, 30)))
            if ip:
                successor(world, pod.node, ip)
            yield dice.uniform(0.001, 0.3)
        while not all(one.gone for one in several):
            yield 0.1
        world.write("DELETED", space)

    for _ in range(2):
        world.start(steps(), dice.uniform(5, 90))


def blanked_annotation(world: Cluster, node: Node) -> Process:
    """31. Calico's annotations bound the hold at both ends; but a new pod's are blanked by mistake (calico#4710)."""
    dice = world.dice
    ip = ""
    for _ in range(3):
        pod = world.create(f"calico-{world.uid()[-4:]}", node, meant(world, annotate=True, wanted=(ip,) if ip else ()))
        yield from held(pod)
        ip = pod.holds[0].ip if pod.holds else ip
        yield dice.uniform(0.2, 10)
        if dice.random() < 0.6 and pod.notes and pod.holds:
            pod.notes = dict.fromkeys(pod.notes, "")
            shown = tuple(one.ip for one in pod.holds) if pod.published and pod.published[1].shown else ()
            world.write("MODIFIED", pod.json(), Sight(pod.uid, shown=shown), "patch")
        yield dice.uniform(2, 15)
        world.delete(pod, 5)
        yield from let_go(pod)


def owner_gone(world: Cluster, node: Node) -> Process:
    """33. The ReplicaSet goes before anybody asks; and a Deployment whose own name ends like a ReplicaSet's."""
    dice = world.dice
    name = dice.choice(("web-bcdfghjk24", "web", "api-7f9c6d5b84"))
    owner, called = world.deployment(name)
    pod = world.create(f"{called}-{dice.getrandbits(20):05x}", node, meant(world), owner=owner, workload=name)
    if dice.random() < 0.7:
        yield dice.uniform(0.01, 0.2)
        world.collect(owner)
    yield from held(pod)
    yield dice.uniform(2, 20)
    world.delete(pod, 5)


def mirror(world: Cluster, node: Node) -> Process:
    """34. A static pod's mirror is deleted and made anew with another UID, while the pod goes on."""
    dice = world.dice
    name = f"static-{world.uid()[-4:]}-{node.name}"
    owner = {"apiVersion": "v1", "kind": "Node", "name": node.name, "uid": f"{world.name}-node-{node.number}"}
    pod = world.create(name, node, meant(world), owner=owner, static=name, namespace="kube-system")
    pod.notes = {"kubernetes.io/config.mirror": name, "kubernetes.io/config.hash": name}
    yield from held(pod)
    for _ in range(2):
        yield dice.uniform(2, 20)
        pod.deletion = (world.now + 30 * SECOND, 30)
        world.kubelets.update(pod, "delete")
        yield dice.uniform(0.01, 0.5)
        pod.deletion = (world.now, 0)
        world.kubelets.remove(pod)
        yield dice.uniform(0.1, 2)
        _new_mirror(world, pod)
    yield 20


def _new_mirror(world: Cluster, pod: Pod) -> None:
    old = pod.uid
    pod.uid, pod.created, pod.deletion, pod.gone = world.uid(), world.now, None, False
    for hold in pod.holds:
        hold.uids.append(pod.uid)
    world.workloads[pod.uid], world.names[pod.uid] = world.workloads[old], world.names[old]
    world.labels[pod.uid] = Versions()
    world.labels[pod.uid].put(world.now, dict(pod.labels))
    pod.published, pod.bound = None, world.now
    world.write("ADDED", pod.json(), Sight(pod.uid), "create")
    world.kubelets.dirty(pod)
