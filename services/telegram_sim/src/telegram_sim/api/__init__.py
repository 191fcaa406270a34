"""What a request of the Bot API is made of: its parameters, its JSON, and how it is refused."""
