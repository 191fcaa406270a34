"""The server: its folders, files and locks, its engine, a release as it lies there, the audit."""
