"""Names seen in passing: what conversations say of themselves in the clear. Bytes are strangers': all is bounded."""
