"""The simulator as a server: the Bot API over HTTP, who may use it, how it starts and ends."""
