"""Whether a policy is about a pod, and a rule about a connection: with what is not known kept apart."""

from __future__ import annotations

from collections.abc import Mapping

from detect.policy.doubt import NO, UNKNOWN, UNSUPPORTED, YES, Answer, both, either, maybe
from detect.policy.model import (
    INGRESS,
    NAME_LABEL,
    NETWORK,
    Connection,
    End,
    Moment,
    Peer,
    Pod,
    Policy,
    PortMatch,
    Rule,
)
from detect.policy.selectors import Selector


def namespace_matches(moment: Moment, namespace: str, selector: Selector) -> Answer:
    """Say whether a namespace is selected. Its name is a label that the apiserver sees to, known or not."""
    labels = moment.namespaces.get(namespace)
    if labels is None:
        certain: Mapping[str, str] = {NAME_LABEL: namespace}
        if selector.keys() - certain.keys():
            return maybe(UNKNOWN, f"nobody told the labels of namespace {namespace}")
        labels = certain
    elif labels.get(NAME_LABEL) != namespace:
        labels = {**labels, NAME_LABEL: namespace}
    return YES if selector.selects(labels) else NO


def is_about(moment: Moment, policy: Policy, pod: Pod, direction: str) -> Answer:
    """Say whether a policy decides of one direction of a pod."""
    if policy.tier == NETWORK and policy.namespace != pod.namespace:
        return NO
    if policy.rules(direction) is None:
        return NO
    if policy.fault:
        return maybe(UNSUPPORTED, f"{policy.kind} {policy} cannot be read: {policy.fault}")
    if policy.pods is not None and not policy.pods.selects(pod.labels):
        return NO
    return YES if policy.namespaces is None else namespace_matches(moment, pod.namespace, policy.namespaces)


def rule_matches(moment: Moment, policy: Policy, rule: Rule, asked: Connection, direction: str) -> Answer:
    """Say whether a rule is about a connection."""
    # Ports first: most rules are not about this one, and it costs less to see.
    ports = YES if rule.ports is None else either([port_matches(one, asked) for one in rule.ports])
    if ports.no:
        return NO
    other = asked.source if direction == INGRESS else asked.target
    if rule.peers is None:
        peers = YES
    else:
        peers = either(peer_matches(moment, policy, one, other) for one in rule.peers)
    return both(peers, ports)


def peer_matches(moment: Moment, policy: Policy, peer: Peer, other: End) -> Answer:
    """Say whether a peer is the other end."""
    if peer.unsupported:
        return maybe(UNSUPPORTED, f"{policy.kind} {policy} has {peer.unsupported}, which is not judged")
    if peer.block is not None:
        if other.address is None:
            return maybe(UNKNOWN, "the address of the other end is not known")
        return YES if peer.block.holds(other.address) else NO
    pod = other.selectable
    if pod is None or (peer.pods is not None and not peer.pods.selects(pod.labels)):
        return NO
    if peer.namespaces is None:
        return YES if pod.namespace == policy.namespace else NO
    return namespace_matches(moment, pod.namespace, peer.namespaces)


def port_matches(port: PortMatch, asked: Connection) -> Answer:
    """Say whether a port of a rule is the destination's."""
    if port.protocol and port.protocol != asked.protocol:
        return NO
    if port.name:
        return _named(port, asked)
    if port.low is None or port.high is None:
        return YES
    return YES if asked.port is not None and port.low <= asked.port <= port.high else NO


def _named(port: PortMatch, asked: Connection) -> Answer:
    """A name is resolved on the destination's containers, all of them; on an end that is no pod it means nothing."""
    pod = asked.target.selectable
    if pod is None:
        return NO
    if pod.ports is None:
        return maybe(UNKNOWN, f"nobody told the ports of {pod}")
    wanted = (port.name, asked.port, asked.protocol)
    return YES if wanted in pod.ports else NO
