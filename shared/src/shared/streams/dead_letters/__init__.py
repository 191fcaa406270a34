"""What could not be published or handled: its form, and what an operator does with it."""
