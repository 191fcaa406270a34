"""Publishing: an event is in its stream once, whatever was lost on the way."""
