"""Consuming in groups: every entry is handled, or stands in the dead letters."""
