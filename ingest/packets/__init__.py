"""Captures to bidirectional flows."""

from ingest.packets.packet_rows import decode_packets
from ingest.packets.source import CaptureSource, PacketOptions

__all__ = ["CaptureSource", "PacketOptions", "decode_packets"]
