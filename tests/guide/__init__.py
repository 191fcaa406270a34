"""docs/GUIDE.md, done word for word."""
