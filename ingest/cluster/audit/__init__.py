"""Replays audit logs of apiservers into observations."""
