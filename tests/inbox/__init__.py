"""Effects in SQL, each once: the inbox on real databases, by two services of its own."""
