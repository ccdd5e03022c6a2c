"""A small cluster of network namespaces: real kernel, real sockets, and the objects an apiserver would show."""
