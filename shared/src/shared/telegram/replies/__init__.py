"""What the bot says, in the background and within Telegram's limits."""
