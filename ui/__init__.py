"""The edges: the command line, and the only Chinese interface strings."""
