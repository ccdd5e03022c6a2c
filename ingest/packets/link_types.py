"""Names of link types, for those that are not read. Source: the tcpdump group's list of link-layer types."""

from __future__ import annotations

from collections.abc import Mapping

NAMES = {
    3: "ax25", 6: "ieee802_5", 7: "arcnet", 8: "slip", 9: "ppp", 10: "fddi", 50: "ppp_hdlc", 51: "ppp_ether",
    100: "atm_rfc1483", 104: "c_hdlc", 105: "ieee802_11", 107: "frelay", 109: "enc", 114: "ltalk", 117: "pflog",
    119: "ieee802_11_prism", 122: "ip_over_fc", 127: "ieee802_11_radiotap", 129: "arcnet_linux",
    138: "apple_ip_over_ieee1394", 143: "docsis", 144: "linux_irda", 147: "user0", 163: "ieee802_11_avs",
    166: "ppp_pppd",
    187: "bluetooth_hci_h4", 189: "usb_linux", 192: "ppi", 195: "ieee802_15_4", 201: "bluetooth_hci_h4_with_phdr",
    204: "ppp_with_dir", 209: "i2c_linux", 220: "usb_linux_mmapped", 227: "can_socketcan", 230: "ieee802_15_4_nofcs",
    231: "dbus", 239: "nflog", 240: "netanalyzer", 243: "mpeg_2_ts", 249: "usbpcap", 251: "bluetooth_le_ll",
    252: "wireshark_upper_pdu", 253: "netlink", 258: "pktap", 266: "usb_darwin", 271: "vsock", 272: "nordic_ble",
    273: "docsis31_xra31", 274: "ethernet_mpacket", 278: "usb_2_0", 280: "atsc_alp", 281: "etw",
}  # fmt: skip
REASONS_MOST = 64


def link_reason(link: int, refused: Mapping[str, int]) -> str:
    """Reason by which packets of a link type are refused. Beyond 64 types in one run they share one."""
    name = f"_{NAMES[link]}" if link in NAMES else ""
    reason = f"unsupported_link_type_{link}{name}"
    if reason not in refused and len(refused) > REASONS_MOST:
        return "unsupported_link_type_others"
    return reason
