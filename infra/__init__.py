"""What builds and wires the stack: the sync tool, the generators, the demo, developer commands."""
