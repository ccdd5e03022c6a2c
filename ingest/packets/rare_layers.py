"""The layers that few packets have: one call away from the loop, so that the common ones stay short."""

from __future__ import annotations

from ingest.columns.byte_reads import Bytes
from ingest.packets import layout
from ingest.packets.encrypted import esp, esp_udp, wireguard
from ingest.packets.gre import erspan_1, erspan_2, erspan_3, gre
from ingest.packets.ip_tunnels import (
    backbone,
    etherip,
    flannel_udp,
    gtp,
    inside_4,
    inside_6,
    nsh,
    teredo,
    vxlan_gpe,
)
from ingest.packets.layout import REFUSE, TOO_DEEP
from ingest.packets.link_layer import tag
from ingest.packets.mpls import mpls
from ingest.packets.ppp import c_hdlc, l2tp, ppp, ppp_direction, pppoe
from ingest.packets.pseudo_links import enc, nflog, pflog, pktap, ppi
from ingest.packets.wireless import radiotap, wlan
from whowas.arrays import Words
from whowas.kernels import rare_kernel


@rare_kernel
def rare_step(layer: int, data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    """Take one layer off."""
    if layer <= layout.ERSPAN_3:
        return _frames(layer, data, at, facts, tables)
    if layer <= layout.FLANNEL_UDP:
        return _packets(layer, data, at, facts, tables)
    return _others(layer, data, at, facts, tables)


@rare_kernel
def _frames(layer: int, data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    if layer == layout.PPP:
        return ppp(data, at, facts, tables)
    if layer == layout.PPPOE_SESSION:
        return pppoe(data, at, facts, tables)
    if layer == layout.LABELS:
        return mpls(data, at, facts, tables)
    if layer == layout.GRE:
        return gre(data, at, facts, tables)
    if layer == layout.ERSPAN_1:
        return erspan_1(data, at, facts, tables)
    if layer == layout.ERSPAN_2:
        return erspan_2(data, at, facts, tables)
    if layer == layout.ERSPAN_3:
        return erspan_3(data, at, facts, tables)
    return REFUSE + TOO_DEEP, at


@rare_kernel
def _packets(layer: int, data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    if layer == layout.INSIDE_4:
        return inside_4(data, at, facts, tables)
    if layer == layout.INSIDE_6:
        return inside_6(data, at, facts, tables)
    if layer == layout.NSH:
        return nsh(data, at, facts, tables)
    if layer == layout.VXLAN_GPE:
        return vxlan_gpe(data, at, facts, tables)
    if layer == layout.GTP:
        return gtp(data, at, facts, tables)
    if layer == layout.L2TP:
        return l2tp(data, at, facts, tables)
    if layer == layout.TEREDO:
        return teredo(data, at, facts, tables)
    if layer == layout.BACKBONE:
        return backbone(data, at, facts, tables)
    if layer == layout.ETHERIP:
        return etherip(data, at, facts, tables)
    if layer == layout.FLANNEL_UDP:
        return flannel_udp(data, at, facts, tables)
    return REFUSE + TOO_DEEP, at


@rare_kernel
def _others(layer: int, data: Bytes, at: int, facts: Words, tables: Bytes) -> tuple[int, int]:
    if layer == layout.WLAN:
        return wlan(data, at, facts, tables)
    if layer == layout.RADIOTAP:
        return radiotap(data, at, facts, tables)
    if layer == layout.NFLOG:
        return nflog(data, at, facts, tables)
    if layer == layout.ESP:
        return esp(data, at, facts, tables)
    if layer == layout.ESP_UDP:
        return esp_udp(data, at, facts, tables)
    if layer == layout.WIREGUARD:
        return wireguard(data, at, facts, tables)
    if layer == layout.PPP_DIRECTION:
        return ppp_direction(data, at, facts, tables)
    if layer == layout.C_HDLC:
        return c_hdlc(data, at, facts, tables)
    if layer == layout.ENC:
        return enc(data, at, facts, tables)
    if layer == layout.PFLOG:
        return pflog(data, at, facts, tables)
    if layer == layout.PPI:
        return ppi(data, at, facts, tables)
    if layer == layout.PKTAP:
        return pktap(data, at, facts, tables)
    if layer == layout.TAG_6:
        return tag(data, at, 6, facts, tables)
    if layer == layout.TAG_8:
        return tag(data, at, 8, facts, tables)
    return REFUSE + TOO_DEEP, at
