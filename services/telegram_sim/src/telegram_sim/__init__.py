"""An offline Telegram: the Bot API over HTTP for demos, tests and load."""
