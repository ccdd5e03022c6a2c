"""Captures to bidirectional flows."""

from ingest.packets.source import CaptureSource, PacketOptions, Progress

__all__ = ["CaptureSource", "PacketOptions", "Progress"]
