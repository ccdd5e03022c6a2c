"""Which --kubeconfig, --context and --cluster belong together."""

from __future__ import annotations

import pytest

from whowas.cli.watch_options import Choice, pair
from whowas.errors import ConfigError


def test_nothing_said_is_one_cluster_as_kubectl_finds_it() -> None:
    assert pair((), (), ()) == [Choice(None, None, None)]


def test_one_kubeconfig_serves_every_context() -> None:
    assert pair(("k",), ("eu", "us"), ("prod-eu", "prod-us")) == [
        Choice("k", "eu", "prod-eu"),
        Choice("k", "us", "prod-us"),
    ]


def test_kubeconfigs_and_names_go_in_pairs() -> None:
    assert pair(("eu.yaml", "us.yaml"), (), ("eu", "us")) == [
        Choice("eu.yaml", None, "eu"),
        Choice("us.yaml", None, "us"),
    ]


@pytest.mark.parametrize(
    ("kubeconfigs", "contexts", "clusters"),
    [(("a", "b"), ("c",), ()), ((), ("a", "b"), ("c",)), ((), ("a",), ("b", "c")), (("a", "b"), ("c", "d", "e"), ())],
)
def test_what_cannot_be_paired_is_refused(kubeconfigs: tuple, contexts: tuple, clusters: tuple) -> None:
    with pytest.raises(ConfigError, match="cannot tell which belong together"):
        pair(kubeconfigs, contexts, clusters)


@pytest.mark.parametrize(
    ("kubeconfigs", "contexts", "clusters"),
    [(("k",), ("a", "a"), ("x", "y")), ((), (), ("x", "y")), (("k",), (), ("x", "y")), (("k", "k"), (), ("x", "y"))],
)
def test_one_cluster_under_two_names_is_refused(kubeconfigs: tuple, contexts: tuple, clusters: tuple) -> None:
    with pytest.raises(ConfigError, match="cannot record one cluster twice"):
        pair(kubeconfigs, contexts, clusters)
