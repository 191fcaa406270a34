"""The simulated world: bots, chats, what people do in them, and what goes wrong."""
