"""Updates: fetched, handed to the handlers, and confirmed when what they caused is durable."""
