"""Flow logs to flows, one module a format. Nothing here yet: captures come first."""
