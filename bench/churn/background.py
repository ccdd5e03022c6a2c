"""The ordinary churn in which every story is set: Deployments, Jobs, StatefulSets, host-network and static pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.churn.pod import Plan, Pod
from bench.churn.times import SECOND
from bench.churn.world import Object, Process

if TYPE_CHECKING:
    from bench.churn.cluster import Cluster


def plan(world: Cluster) -> Plan:
    """A pod as any other."""
    dice = world.dice
    return Plan(
        bind=dice.uniform(0.005, 0.1), notice=dice.uniform(0.005, 0.3), sandbox=dice.uniform(0.05, 0.6),
        pull=dice.uniform(3.5, 9) if dice.random() < 0.08 else dice.uniform(0.1, 1.2),
        stop=dice.uniform(0.05, 8), release=dice.uniform(0.01, 0.5), force_kill=dice.uniform(0.3, 12),
        between=dice.uniform(0.2, 2), mumble=dice.random() < 0.3, ready_first=dice.random() < 0.15,
        finalizer=dice.uniform(20, 60) if dice.random() < 0.04 else 0.0, blanks=dice.random() < 0.08,
    )  # fmt: skip


def churn(world: Cluster, until: int, rate: float) -> Process:
    """Make pods, and let each end in one of the usual ways."""
    dice = world.dice
    apps = [(f"app-{n}", *world.deployment(f"app-{n}")) for n in range(4)]
    world.service("front", "10.96.0.10", ("app", "app-0"))
    world.service("back", "10.96.0.11", ("app", "app-1"))
    for node in world.nodes:
        world.create(f"agent-{node.number}", node, host_network=True, workload="agent", ports=(9100,),
                     owner=world.owner("DaemonSet", "agent"))  # fmt: skip
        _static(world, node.number)
    jobs = 0
    while world.now < until:
        yield dice.expovariate(rate)
        node = dice.choice(world.nodes)
        if dice.random() < 0.3:
            jobs += 1
            world.start(_job(world, node.number, jobs))
            continue
        app, reference, name = dice.choice(apps)
        pod = world.create(f"{name}-{dice.getrandbits(20):05x}", node, plan(world), owner=reference, workload=app)
        world.start(fate(world, pod))


def _static(world: Cluster, number: int) -> None:
    node = world.nodes[number]
    name = f"proxy-{node.name}"
    owner: Object = {"apiVersion": "v1", "kind": "Node", "name": node.name, "uid": f"{world.name}-node-{number}"}
    world.create(name, node, host_network=True, owner=owner, static=name, namespace="kube-system")


def _job(world: Cluster, number: int, count: int) -> Process:
    """A Job runs to its end, and its pod stays for a while, address and all."""
    dice = world.dice
    above = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "report", "uid": f"{world.name}-cron"}
    owner = world.owner("Job", f"report-{count}", above)
    told = plan(world)
    told.life = dice.uniform(0.05, 0.8) if dice.random() < 0.3 else dice.uniform(1, 20)
    told.fails = dice.random() < 0.2
    pod = world.create(f"report-{count}-{dice.getrandbits(20):05x}", world.nodes[number], told, owner=owner,
                       workload="report")  # fmt: skip
    yield told.life + dice.uniform(15, 70)
    world.delete(pod)
    world.collect(owner)


def fate(world: Cluster, pod: Pod) -> Process:
    """What becomes of a pod that would run for ever."""
    dice = world.dice
    yield dice.uniform(0.2, 25)
    while dice.random() < 0.3 and pod.run and pod.run[1] is None and not pod.deletion:
        steps = world.kubelets.recreate(pod) if dice.random() < 0.6 else world.kubelets.restart(pod)
        world.interrupt(pod, steps)
        yield dice.uniform(3, 15)
    if dice.random() < 0.2:
        world.relabel(pod, pod.labels | {"track": "canary"})
        yield dice.uniform(0.5, 5)
    if dice.random() < 0.15:
        world.force(pod)
    else:
        world.delete(pod, dice.choice((2, 10, 30)))


def stalls(world: Cluster, every: float) -> Process:
    """Now and then a kubelet publishes nothing for up to 20 s."""
    while True:
        yield world.dice.expovariate(1 / every)
        node = world.dice.choice(world.nodes)
        node.stalled_until = world.now + int(world.dice.uniform(5, 20) * SECOND)
