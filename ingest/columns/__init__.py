"""Arrow columns and digests that packets and records share."""
