"""Three servers as network namespaces: what becomes of events when one of them goes."""
