"""Rules on names to findings. Nothing here yet: names come first."""
