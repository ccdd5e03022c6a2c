"""What a node does with a pod: sandbox, address, containers, and a status that is published late and not whole."""

from __future__ import annotations

from bench.churn.pod import Pod
from bench.churn.times import SECOND
from bench.churn.truth import NEVER, Hold, Sight
from bench.churn.world import Process, World


class Kubelets:
    """The kubelets of all nodes of a world."""

    def __init__(self, world: World) -> None:
        self.world = world

    # The status manager: one writer, the newest version only.

    def dirty(self, pod: Pod) -> None:
        """There is a newer status. It is written some time from now, unless a newer one still takes its place."""
        pod.composed = pod.compose()
        if not pod.pending:
            pod.pending = True
            self.world.after(self._lag(pod), self._write, pod)

    def _lag(self, pod: Pod) -> float:
        """Half of all statuses are out within 0.3 s, one in a hundred takes seconds."""
        if pod.plan.lag is not None:
            return pod.plan.lag()
        lag = min(self.world.dice.lognormvariate(-1.2, 1.15), pod.node.latest)
        return max(lag, (pod.node.stalled_until - self.world.now) / SECOND)

    def _write(self, pod: Pod) -> None:
        if pod.gone or pod.composed is None:
            pod.pending = False
        elif pod.node.cut:
            self.world.after(0.5, self._write, pod)
        else:
            pod.pending = False
            self.publish(pod)
            if pod.then is not None:
                then, pod.then = pod.then, None
                then()

    def publish(self, pod: Pod) -> None:
        """Write the newest status now."""
        pod.published = pod.composed
        self.update(pod, "patch status")

    def update(self, pod: Pod, request: str = "update") -> None:
        """Write the object, with the status it already had, or a newer one."""
        sight = pod.published[1] if pod.published else Sight(pod.uid)
        self.world.write("MODIFIED", pod.json(), sight, request)

    # A pod's life on its node.

    def live(self, pod: Pod) -> Process:
        """From being bound to its end, if it ends by itself."""
        yield pod.plan.notice
        pod.started_at = pod.node.time(self.world.now)
        if pod.host_network:
            pod.shown = [pod.node.ip]
        if self.world.dice.random() < 0.3:
            self.dirty(pod)
        while True:
            yield from self._sandbox(pod)
            yield from self._containers(pod)
            if pod.plan.life is None:
                return
            yield pod.plan.life
            self.containers_end(pod)
            yield from self._let_go(pod)
            self._over(pod, "Failed" if pod.plan.fails else "Succeeded")
            return

    def _sandbox(self, pod: Pod) -> Process:
        yield pod.plan.sandbox
        if not pod.host_network:
            while not self._take(pod):
                yield 0.2
        pod.sandboxes += 1
        yield self.world.dice.uniform(0.001, 0.2)
        pod.sandbox = (True, pod.node.time(self.world.now))
        if pod.node.modern:
            self.dirty(pod)
            return
        if pod.plan.ready_first:
            self.dirty(pod)
            yield self.world.dice.uniform(0.1, 1.0)
        pod.shown = [one.ip for one in pod.holds] or pod.shown

    def _take(self, pod: Pod) -> bool:
        """CNI ADD: here the truth of a hold begins."""
        pools = [pool for pool in (pod.node.pool, pod.node.pool6) if pool is not None]
        wanted = [*pod.plan.wanted, *[""] * len(pools)]
        found: list[str] = []
        for pool, ip in zip(pools, wanted, strict=False):
            got = pool.take(self.world.now, pod.uid, ip)
            if got is None:
                for old, back in zip(found, pools, strict=False):
                    back.give(old, self.world.now)
                return False
            found.append(got)
        pod.holds = [
            Hold(ip, [pod.uid], self.world.now, name=pod.name, focus=pod.plan.focus, node=pod.node.name) for ip in found
        ]
        self.world.holds += pod.holds
        if pod.plan.annotate:
            pod.notes["cni.projectcalico.org/podIP"] = f"{found[0]}/32"
            pod.notes["cni.projectcalico.org/podIPs"] = ",".join(f"{ip}/32" for ip in found)
            sight = Sight(pod.uid, tuple(pod.holds), (), tuple(found))
            self.world.after(0.01, self._annotated, pod, sight)
        return True

    def _annotated(self, pod: Pod, sight: Sight) -> None:
        if not pod.gone:
            self.world.write("MODIFIED", pod.json(), sight, "patch")

    def _containers(self, pod: Pod) -> Process:
        if pod.plan.pull > 3 or self.world.dice.random() < 0.3:
            self.dirty(pod)
        yield pod.plan.pull
        self._admit(pod)
        now = self.world.now
        pod.shown = [one.ip for one in pod.holds] or pod.shown
        for one in pod.holds:
            one.ran.append((now, NEVER))
        if pod.run is not None and pod.run_stamps is not None and pod.run_stamps[1] is not None:
            pod.before, pod.restarts = (pod.run_stamps[0], pod.run_stamps[1]), pod.restarts + 1
        pod.run, pod.run_stamps = (now, None), (pod.node.time(now), None)
        pod.phase, pod.ready = "Running", (True, pod.node.time(now))
        self.dirty(pod)

    def restart(self, pod: Pod) -> Process:
        """The containers crash and start again; the sandbox stays."""
        self.containers_end(pod)
        self.dirty(pod)
        yield self.world.dice.uniform(0.2, 2)
        yield from self._containers(pod)

    def containers_end(self, pod: Pod) -> None:
        """The last container ends."""
        self._admit(pod)
        self._hush(pod)
        if pod.run is not None and pod.run[1] is None and pod.run_stamps is not None:
            pod.run = (pod.run[0], self.world.now)
            pod.run_stamps = (pod.run_stamps[0], pod.node.time(self.world.now))
            pod.ready = (False, pod.node.time(self.world.now))
            if pod.plan.mumble:
                self.dirty(pod)

    def _hush(self, pod: Pod) -> None:
        """No process of the pod sends any more."""
        for one in (*pod.holds, *pod.past):
            one.ran = [(start, min(end, self.world.now)) for start, end in one.ran]

    def _admit(self, pod: Pod) -> None:
        """Tell of a run that it is over, when that was so."""
        if pod.died is not None and pod.run is not None and pod.run_stamps is not None:
            pod.run, pod.run_stamps = (pod.run[0], pod.died[0]), (pod.run_stamps[0], pod.died[1])
        pod.died = None

    def release(self, pod: Pod) -> None:
        """CNI DEL: here the truth of the holds ends."""
        self._hush(pod)
        for one in pod.holds:
            one.end = self.world.now
            pool = pod.node.pool if pod.node.pool6 is None or ":" not in one.ip else pod.node.pool6
            pool.give(one.ip, self.world.now)
        pod.past += pod.holds
        pod.holds = []
        if pod.plan.annotate and not pod.gone and pod.notes and not pod.node.cut:
            pod.notes = dict.fromkeys(pod.notes, "")
            sight = Sight(pod.uid, (), tuple(pod.past))
            self.world.after(0.01, self._annotated, pod, sight)

    def _let_go(self, pod: Pod) -> Process:
        yield pod.plan.release
        self.release(pod)
        yield self.world.dice.uniform(0.0005, 0.05)
        if not pod.host_network:
            pod.sandbox = (False, pod.node.time(self.world.now))

    def _over(self, pod: Pod, phase: str) -> None:
        """A terminal status: it keeps podIP."""
        pod.phase = phase
        kept = pod.shown
        if pod.plan.blanks:
            pod.shown = []
        self.dirty(pod)
        if pod.plan.blanks:
            self.world.after(self.world.dice.uniform(0.5, 4), self._unblank, pod, kept)

    def _unblank(self, pod: Pod, kept: list[str]) -> None:
        pod.shown = kept
        self.dirty(pod)

    # Ends that others ask for.

    def terminate(self, pod: Pod, grace: float) -> Process:
        """SIGTERM, the end, CNI DEL, the last status, and only then the object goes."""
        started = pod.run is not None
        while pod.node.cut:
            yield 0.5
        yield min(pod.plan.stop, grace)
        self.containers_end(pod)
        if pod.holds:
            yield from self._let_go(pod)
        pod.then = lambda: self.world.start(self._last_delete(pod), self.world.dice.uniform(0.001, 0.02))
        self._over(pod, "Failed" if pod.plan.fails or not started else "Succeeded")

    def _last_delete(self, pod: Pod) -> Process:
        """The kubelet deletes with grace 0: deletionTimestamp goes back to now."""
        if not pod.gone:
            pod.deletion = (self.world.now, 0)
            if pod.plan.finalizer:
                self.update(pod, "delete")
                yield pod.plan.finalizer
            else:
                self.update(pod, "delete")
            yield self.world.dice.uniform(0.001, 0.005)
            self.remove(pod)

    def remove(self, pod: Pod) -> None:
        """DELETED."""
        if not pod.gone:
            pod.gone = True
            sight = pod.published[1] if pod.published else Sight(pod.uid)
            self.world.write("DELETED", pod.json(), sight, "delete")

    def killed(self, pod: Pod) -> Process:
        """The object went by force: the containers end some time later, and nobody is told."""
        yield pod.plan.force_kill
        while pod.node.cut:
            yield 0.5
        self.containers_end(pod)
        yield pod.plan.release
        self.release(pod)
        pod.node.pods.pop(pod.uid, None)

    def recreate(self, pod: Pod) -> Process:
        """The sandbox dies; the same pod gets another, with another address or the same."""
        pod.renewed = True
        if pod.node.modern and pod.run is not None and pod.run[1] is None:
            yield from self._lose(pod)
        else:
            self.containers_end(pod)
            yield from self._let_go(pod)
            pod.shown = []
            self.dirty(pod)
        yield pod.plan.between
        yield from self._sandbox(pod)
        yield from self._containers(pod)
        pod.renewed = False
        if pod.plan.life is not None:
            yield pod.plan.life
            self.containers_end(pod)
            yield from self._let_go(pod)
            self._over(pod, "Succeeded")

    def _lose(self, pod: Pod) -> Process:
        """The loss is told with the address, and a container that runs; seconds later the address goes back.

        When the next sandbox is ready, it is told with the same address and the same container once more.
        """
        pod.sandbox = (False, pod.node.time(self.world.now))
        self.dirty(pod)
        yield self.world.dice.uniform(1.5, 2.6)
        pod.died = (self.world.now, pod.node.time(self.world.now))
        self._hush(pod)
        yield pod.plan.release
        self.release(pod)
