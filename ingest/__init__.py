"""Brings facts in: captures, flow logs and what the cluster said of itself."""
