"""Captures to bidirectional flows."""

from ingest.packets.packet_rows import decode_packets
from ingest.packets.source import CaptureSource, PacketOptions, Progress

__all__ = ["CaptureSource", "PacketOptions", "Progress", "decode_packets"]
