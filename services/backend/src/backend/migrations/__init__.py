"""The database's schema, one revision a file; inside the package, so that an image has it too."""
