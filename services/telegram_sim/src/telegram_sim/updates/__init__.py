"""The queue of a bot's updates, and its two ways out: polling and a webhook."""
