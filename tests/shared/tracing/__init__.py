"""What a process tells a collector of traces."""
