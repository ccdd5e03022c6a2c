"""Rules on names, and what they find."""
