"""The immutable index of holds that answers, and its kernels."""
