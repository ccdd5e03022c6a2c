"""Matches to findings: windows, correlations, first sights, silences, a state that survives kills."""
