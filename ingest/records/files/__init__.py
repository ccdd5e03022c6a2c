"""Files of flow records: framing, reading, dead letters."""
