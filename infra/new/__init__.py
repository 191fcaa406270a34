"""`make new`: turn a clone of Herald into a project of one's own."""
