"""One release in place of another: switched, proven and committed, or undone."""
