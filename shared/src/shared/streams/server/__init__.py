"""A Redis server as a client sees it: connections, scripts, its clock, its memory."""
