"""What people read of a plan: its picture, its variables, the origin of each value."""
