"""The streams, followed."""
