"""Lists and watches a live apiserver."""
