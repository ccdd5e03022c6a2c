"""Captures to bidirectional flows."""

from ingest.packets.options import PacketOptions
from ingest.packets.packet_rows import decode_packets
from ingest.packets.source import CaptureSource

__all__ = ["CaptureSource", "PacketOptions", "decode_packets"]
