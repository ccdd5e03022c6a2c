"""Where named flows go."""
