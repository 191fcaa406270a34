"""How an event stands in a stream entry."""
