"""A service that has a folder."""
