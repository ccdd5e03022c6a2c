"""IP protocols that packets and records see alike. Source: IANA, Assigned Internet Protocol Numbers."""

from __future__ import annotations

# IPv4 and IPv6 in IP, GRE, ESP, EtherIP, L2TPv3, MPLS in IP: somebody else's packets are inside.
TUNNELS_NOT_OPENED = (4, 41, 47, 50, 97, 115, 137)
