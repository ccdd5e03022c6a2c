"""Rules that were written for other logs of connections, as far as their fields mean what a column means.

An option of `load` (foreign=True). A field that says something else, or more, than a flow knows is left out on purpose,
and a rule that uses it is refused: a process (Image), who was logged in, what a firewall did, a host's name by reverse
lookup (Sysmon's DestinationHostname), what was said in a conversation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Renamed:
    """What a field is called here. name: with a modifier if need be. values: if given, what its values are here."""

    name: str
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_VERSIONS = {"true": ("::/0",), "false": ("0.0.0.0/0",)}
_CONNECTION = {
    "SourceIp": Renamed("src_ip"),
    "SourcePort": Renamed("src_port"),
    "DestinationIp": Renamed("dst_ip"),
    "DestinationPort": Renamed("dst_port"),
    "Protocol": Renamed("protocol"),
    "SourceIsIpv6": Renamed("src_ip|cidr", _VERSIONS),
    "DestinationIsIpv6": Renamed("dst_ip|cidr", _VERSIONS),
    # src is the end that opened the conversation, unless all that is known is who sent.
    "Initiated": Renamed("initiator_basis", {"true": ("syn", "first_packet", "record")}),
}
_GENERIC = {name: Renamed(name) for name in ("src_ip", "src_port", "dst_ip", "dst_port", "protocol")}
_ZEEK = {
    "id.orig_h": Renamed("src_ip"),
    "id.orig_p": Renamed("src_port"),
    "id.resp_h": Renamed("dst_ip"),
    "id.resp_p": Renamed("dst_port"),
    "proto": Renamed("protocol"),
}
_NETFLOW = {
    "source.ip": Renamed("src_ip"),
    "source.port": Renamed("src_port"),
    "destination.ip": Renamed("dst_ip"),
    "destination.port": Renamed("dst_port"),
}


@dataclass(frozen=True)
class Log:
    """What a kind of log is here.

    fields: by their names there; {} where none means what a column means, so that each is refused by its name. needs: a
    column without which a flow is not of it. speaks: the application protocol that its flows have.
    """

    fields: Mapping[str, Renamed]
    needs: str | None = None
    speaks: str | None = None


LOGS: Mapping[tuple[str | None, str | None, str | None], Log] = {
    ("network_connection", "*", None): Log(_CONNECTION),
    ("firewall", None, None): Log(_GENERIC),
    ("dns", None, None): Log(_GENERIC | {"query": Renamed("dns_name")}, "dns_name"),
    ("dns_query", "*", None): Log({"QueryName": Renamed("dns_name")}, "dns_name"),
    (None, None, "netflow"): Log(_NETFLOW),
    (None, "zeek", "conn"): Log(_ZEEK | {"service": Renamed("app_protocol"), "community_id": Renamed("community_id")}),
    (None, "zeek", "dns"): Log(_ZEEK | {"query": Renamed("dns_name")}, "dns_name"),
    (None, "zeek", "ssl"): Log(_ZEEK | {"server_name": Renamed("tls_sni")}, "tls_sni"),
    # The connections of these logs are told, what was said in them is not: a share, a cipher, a page.
    (None, "zeek", "rdp"): Log(_ZEEK, speaks="rdp"),
    (None, "zeek", "http"): Log(_ZEEK, speaks="http"),
    (None, "zeek", "dce_rpc"): Log(_ZEEK, speaks="dce_rpc"),
    (None, "zeek", "smb_files"): Log(_ZEEK, speaks="smb"),
    (None, "zeek", "kerberos"): Log(_ZEEK, speaks="krb"),
    # A proxy's cs-host is the host that the client asked for by name, as TLS has it in the SNI. Where the name is not
    # known, as of plain HTTP, nothing is found. A page (c-uri), an agent or a verb has no column.
    ("proxy", None, None): Log({"cs-host": Renamed("tls_sni")}, "tls_sni"),
}
"""Kinds of logs by logsource (category, product, service); * is any."""


def log(category: object, product: object, service: object) -> Log | None:
    """Return the kind of log that a logsource names, or None if it tells of no flows."""
    for (wanted, made_by, kind), found in LOGS.items():
        if (category, service) == (wanted, kind) and made_by in ("*", product):
            return found
    return None
