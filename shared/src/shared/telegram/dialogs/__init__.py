"""Dialogs that survive: where each user stands in them is in Redis, one step for one update."""
