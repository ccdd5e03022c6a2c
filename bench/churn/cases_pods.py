"""Adversarial cases 1 to 11: what pods and kubelets do. Each plays its story several times amid ordinary churn."""

from __future__ import annotations

from dataclasses import replace

from bench.churn.background import plan
from bench.churn.cluster import Cluster
from bench.churn.pod import Plan, Pod
from bench.churn.story import Story
from bench.churn.world import Node, Process

TIMES = 5


def spread(story: Story, steps: object, times: int = TIMES, **more: object) -> None:
    """Start a story's process several times, all over the time there is."""
    dice = story.world.dice
    for _ in range(times):
        node = dice.choice(story.world.nodes)
        story.world.start(steps(story.world, node, **more), dice.uniform(3, story.setting.seconds - 40))  # type: ignore[operator]


def meant(world: Cluster, **more: object) -> Plan:
    """An ordinary pod that the case is about."""
    return replace(plan(world), focus=True, finalizer=0.0, blanks=False, **more)  # type: ignore[arg-type]


def held(pod: Pod) -> Process:
    """Wait until a pod has an address and runs; at most a minute."""
    for _ in range(600):
        if pod.holds and pod.run and pod.run[1] is None:
            return
        yield 0.1


def let_go(pod: Pod) -> Process:
    """Wait until a pod has given back its address; at most two minutes."""
    for _ in range(12_000):
        if not pod.holds:
            return
        yield 0.01


def successor(world: Cluster, node: Node, ip: str, **more: object) -> Pod:
    """A pod that takes this very address as soon as it is free."""
    return world.create(
        f"next-{world.dice.getrandbits(20):05x}", node, meant(world, wanted=(ip,), sandbox=0.05, **more)
    )


def _ends_sooner_or_later(world: Cluster, pod: Pod) -> Process:
    yield world.dice.uniform(5, 25)
    world.delete(pod, 10)


def completed_job(world: Cluster, node: Node) -> Process:
    """1. The finished pod keeps podIP in its status for as long as it stands; a new pod has the address."""
    job = world.create(f"job-{world.uid()[-4:]}", node, meant(world, life=world.dice.uniform(1, 8)))
    yield from held(job)
    ip = job.holds[0].ip if job.holds else ""
    yield from let_go(job)
    if not ip:
        return
    new = successor(world, node, ip)
    yield from held(new)
    yield world.dice.uniform(10, 30)
    world.relabel(job, job.labels | {"swept": "soon"})  # a stale sight of the address, as last writer
    yield from _ends_sooner_or_later(world, new)
    world.delete(job)


def successor_first(world: Cluster, node: Node) -> Process:
    """2. The successor is visible before the DELETED (and even before the end) of the predecessor."""
    dice = world.dice
    old = world.create(f"old-{world.uid()[-4:]}", node, meant(world, stop=0.5))
    yield from held(old)
    yield dice.uniform(2, 10)
    if not old.holds:
        return
    ip = old.holds[0].ip
    slow = dice.uniform(3, 15)
    old.plan.lag = lambda: slow
    new = successor(world, node, ip, pull=0.1, lag=lambda: 0.02)
    world.delete(old, 30)
    yield from let_go(old)
    yield from held(new)
    yield from _ends_sooner_or_later(world, new)


def blanked(world: Cluster, node: Node) -> Process:
    """3. The terminal write has no address, a later one has it again (1.27 to 1.30); somebody else holds it by then."""
    job = world.create(f"blank-{world.uid()[-4:]}", node, meant(world, life=world.dice.uniform(2, 9)))
    job.plan.blanks = True
    yield from held(job)
    ip = job.holds[0].ip if job.holds else ""
    yield from let_go(job)
    if ip:
        new = successor(world, node, ip)
        yield from held(new)
        yield from _ends_sooner_or_later(world, new)
    yield 10
    world.delete(job)


def late_status(world: Cluster, node: Node) -> Process:
    """4. Flows come 20 s before any object shows the address; in two pods after each other."""
    for _ in range(2):
        late = world.dice.uniform(15, 20)
        pod = world.create(f"late-{world.uid()[-4:]}", node, meant(world, lag=lambda late=late: late, pull=0.3))
        yield from held(pod)
        yield world.dice.uniform(3, 25)
        ip = pod.holds[0].ip if pod.holds else ""
        world.delete(pod, 5)
        yield from let_go(pod)
        if ip:
            new = successor(world, node, ip)
            yield from held(new)
            yield from _ends_sooner_or_later(world, new)


def slow_pull(world: Cluster, node: Node) -> Process:
    """5. The image takes long; the sandbox's condition is true and no address is shown."""
    for _ in range(2):
        pod = world.create(f"slow-{world.uid()[-4:]}", node,
                           meant(world, pull=world.dice.uniform(8, 30), ready_first=True))  # fmt: skip
        yield from held(pod)
        yield world.dice.uniform(1, 12)
        world.delete(pod, 2)
        yield from let_go(pod)


def short_lived(world: Cluster, node: Node) -> Process:
    """6. Pods that live for less than a second: their addresses are never published while they hold them, or never."""
    for _ in range(6):
        pod = world.create(f"spark-{world.uid()[-4:]}", node, meant(world, life=world.dice.uniform(0.01, 0.4)))
        pod.plan.pull, pod.plan.release = 0.05, 0.02
        if world.dice.random() < 0.5:
            yield from held(pod)
            world.force(pod)
        yield world.dice.uniform(0.2, 4)


def same_second(world: Cluster, node: Node) -> Process:
    """7. An address is released and taken anew within the same second, several times over."""
    ip = ""
    for _ in range(5):
        pod = world.create(f"quick-{world.uid()[-4:]}", node,
                           meant(world, life=world.dice.uniform(0.5, 4), wanted=(ip,) if ip else ()))  # fmt: skip
        pod.plan.release, pod.plan.sandbox, pod.plan.notice = 0.02, 0.02, 0.01
        yield from held(pod)
        ip = pod.holds[0].ip if pod.holds else ip
        yield from let_go(pod)


def new_sandbox(world: Cluster, node: Node) -> Process:
    """8. The sandbox is made anew: another address, the same UID; the old address goes to another pod."""
    pod = world.create(f"moved-{world.uid()[-4:]}", node, meant(world))
    yield from held(pod)
    for _ in range(3):
        yield world.dice.uniform(0.5, 12)
        if not pod.holds:
            return
        ip = pod.holds[0].ip
        new = successor(world, node, ip)
        pod.plan.wanted = ()
        world.interrupt(pod, world.kubelets.recreate(pod))
        yield from held(new)
        yield from held(pod)
        world.start(_ends_sooner_or_later(world, new))
    yield from _ends_sooner_or_later(world, pod)


def same_address_again(world: Cluster, node: Node) -> Process:
    """9. The sandbox is made anew and gets the address it had; sometimes another had it for a moment between."""
    pod = world.create(f"again-{world.uid()[-4:]}", node, meant(world))
    yield from held(pod)
    for _ in range(3):
        yield world.dice.uniform(0.5, 12)
        if not pod.holds:
            return
        ip = pod.holds[0].ip
        pod.plan.wanted, pod.plan.between = (ip,), world.dice.choice((0.2, 4.0))
        if pod.plan.between > 1:
            spark = successor(world, node, ip, life=0.2)
            spark.plan.notice, spark.plan.bind, spark.plan.pull, spark.plan.release = 0.01, 0.01, 0.05, 0.02
        else:
            node.pool.keep(ip, pod.uid)
        world.interrupt(pod, world.kubelets.recreate(pod))
        yield from held(pod)
    yield from _ends_sooner_or_later(world, pod)


def swap(world: Cluster, node: Node) -> Process:
    """10. A node starts anew: its pods get each other's addresses."""
    several = [world.create(f"swap-{n}-{world.uid()[-4:]}", node, meant(world)) for n in range(3)]
    for pod in several:
        yield from held(pod)
    yield world.dice.uniform(2, 15)
    alive = [one for one in several if one.holds and not one.deletion]
    ips = [one.holds[0].ip for one in alive]
    down = world.dice.uniform(1, 8)
    for pod, ip in zip(alive, ips[1:] + ips[:1], strict=True):
        pod.plan.wanted, pod.plan.between = (ip,), down + world.dice.uniform(0, 1)
        node.pool.keep(ip, pod.uid)
        world.interrupt(pod, world.kubelets.recreate(pod))
    for pod in alive:
        yield from held(pod)
    for pod in alive:
        world.start(_ends_sooner_or_later(world, pod))


def stateful(world: Cluster, node: Node) -> Process:
    """11. A StatefulSet's pod is replaced: the same name, the same address, another UID."""
    name = f"db-{world.uid()[-4:]}-0"
    owner = world.owner("StatefulSet", name[:-2])
    ip = ""
    for _ in range(4):
        pod = world.create(name, node, meant(world, wanted=(ip,) if ip else ()), owner=owner, workload=name[:-2])
        yield from held(pod)
        ip = pod.holds[0].ip if pod.holds else ip
        yield world.dice.uniform(1, 12)
        if world.dice.random() < 0.4:
            world.force(pod)
        else:
            world.delete(pod, 10)
        while not pod.gone:
            yield 0.01
        node.pool.keep(ip, "nobody yet")
