"""The rules of the lint, a file for each kind: each takes the bot and yields faults."""
