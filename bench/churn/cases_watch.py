"""Adversarial cases 12 to 18: what befalls the recorder. The story is ordinary churn; the faults are the case."""

from __future__ import annotations

from bench.churn.cases_pods import TIMES, held, meant, spread
from bench.churn.cluster import Cluster
from bench.churn.story import Story
from bench.churn.times import SECOND
from bench.churn.world import Node, Process


def busy(world: Cluster, node: Node) -> Process:
    """A pod that the case looks at, then another in its place."""
    ip = ""
    for _ in range(3):
        pod = world.create(f"busy-{world.uid()[-4:]}", node, meant(world, wanted=(ip,) if ip else ()))
        yield from held(pod)
        ip = pod.holds[0].ip if pod.holds else ip
        yield world.dice.uniform(3, 30)
        if world.dice.random() < 0.2:
            world.force(pod)
        else:
            world.delete(pod, 10)
        while pod.holds:
            yield 0.05


def busily(story: Story) -> None:
    """Pods to look at, on every node."""
    spread(story, busy, times=2 * TIMES)


def replaced_in_gap(story: Story) -> None:
    """12. In a gap a StatefulSet's pod is replaced by one of the same name and address."""
    world, dice = story.world, story.world.dice
    low = dice.uniform(40, 60)
    high = low + dice.uniform(20, 50)
    story.fault("gap", low, high)

    def steps(number: int) -> Process:
        node = dice.choice(world.nodes)
        name, ip = f"db-{number}-0", ""
        for turn in range(3):
            pod = world.create(name, node, meant(world, wanted=(ip,) if ip else (), stop=1.0),
                               owner=world.owner("StatefulSet", name[:-2]), workload=name[:-2])  # fmt: skip
            yield from held(pod)
            ip = pod.holds[0].ip if pod.holds else ip
            yield max((story.at(low) - world.now) / SECOND, 0) + dice.uniform(1, high - low - 6) if turn == 0 else 40
            world.delete(pod, 2)
            while not pod.gone:
                yield 0.02

    for number in range(4):
        world.start(steps(number), dice.uniform(2, 20))


def born_and_died_in_gap(story: Story) -> None:
    """13. Pods that nobody could see: their addresses are not free, they are unknown."""
    world, dice = story.world, story.world.dice
    low = dice.uniform(40, 60)
    high = low + dice.uniform(30, 60)
    story.fault("gap", low, high)

    def steps() -> Process:
        node = dice.choice(world.nodes)
        before = world.create(f"before-{world.uid()[-4:]}", node, meant(world, life=5.0))
        yield from held(before)
        ip = before.holds[0].ip if before.holds else ""
        yield max((story.at(low) - world.now) / SECOND, 0) + dice.uniform(0.5, 5)
        for _ in range(2):
            inside = world.create(f"inside-{world.uid()[-4:]}", node,
                                  meant(world, life=dice.uniform(1, 6), wanted=(ip,) if ip else ()))  # fmt: skip
            yield from held(inside)
            yield 7
            world.delete(inside)
        yield max((story.at(high) - world.now) / SECOND, 0) + dice.uniform(0, 10)
        after = world.create(f"after-{world.uid()[-4:]}", node, meant(world, wanted=(ip,) if ip else ()))
        yield from held(after)

    for _ in range(4):
        world.start(steps(), dice.uniform(3, 25))


def expired(story: Story) -> None:
    """14. 410 Gone, as HTTP and as an ERROR event, and a second time before the list is followed for long."""
    dice = story.world.dice
    low = dice.uniform(30, 50)
    story.fault("gap", low, low + dice.uniform(2, 30))
    again = story.faults[-1].high / SECOND - story.at(0) / SECOND + dice.uniform(0.2, 2)
    story.fault("gap", again, again + dice.uniform(0.5, 5))
    later = again + dice.uniform(20, 40)
    story.fault("gap", later, later + dice.uniform(1, 10))
    busily(story)


def broken_stream(story: Story) -> None:
    """15. Half-open TCP for 90 s, a line cut off (all resumed, nothing lost); null where a list should stand."""
    dice = story.world.dice
    low = dice.uniform(30, 50)
    story.fault("late", low, low + 90)
    story.fault("late", low + 92, low + 92 + dice.uniform(0.1, 5))
    story.fault("no bookmarks", 0, 0)

    def odd() -> Process:
        while True:
            yield dice.uniform(1, 5)
            able = [one for one in story.world.pods if not one.gone]
            if able:
                dice.choice(able).odd = True

    story.world.start(odd())
    busily(story)


def crash(story: Story) -> None:
    """16. Killed between the write of an event and of its version: what was written comes again."""
    dice, low = story.world.dice, 25.0
    for _ in range(4):
        low += dice.uniform(3, 30)
        story.fault("twice", low, low + dice.uniform(0.5, 8))
        low += 10
    busily(story)


def broken_list(story: Story) -> None:
    """17. The continue token expires in the middle of a list: half a list, and later a whole one."""
    dice = story.world.dice
    for low in (dice.uniform(25, 50), dice.uniform(90, 120)):
        story.fault("half list", low, low + dice.uniform(4, 20))
    busily(story)


def restored(story: Story) -> None:
    """18. etcd is put back by 20 s: versions go back, what was made since is gone and its containers are killed."""
    world, dice = story.world, story.world.dice
    low = dice.uniform(50, 80)
    back = story.at(low) - 20 * SECOND
    down = dice.uniform(2, 10)
    story.fault("restored", low, low + down)

    def steps() -> Process:
        for node in world.nodes:
            node.cut = True
        yield down * 0.9
        world.restore(back)
        for node in world.nodes:
            node.cut = False
        for pod in list(world.pods):
            _after_restore(world, pod, back)

    world.start(steps(), low)
    busily(story)


def _after_restore(world: Cluster, pod: object, back: int) -> None:
    """Pods that the API forgot are killed; those it remembers are told of anew."""
    from bench.churn.pod import Pod

    assert isinstance(pod, Pod)
    if pod.gone and ("Pod", pod.uid) in world.objects:
        # Deleted since: it stands in the API again, over, until somebody deletes it once more.
        pod.gone = False
        world.after(world.dice.uniform(0.5, 3), world.kubelets.remove, pod)
    elif not pod.gone and pod.created > back:
        pod.gone = True
        if pod.task:
            pod.task.cancelled = True
        world.start(world.kubelets.killed(pod))
    elif not pod.gone:
        world.kubelets.dirty(pod)
