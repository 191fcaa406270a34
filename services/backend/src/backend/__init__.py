"""REST API and subscriber that stores every command once."""
