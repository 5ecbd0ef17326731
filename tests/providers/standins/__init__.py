"""What stand-ins of platforms have in common: their time, what goes wrong on purpose, and descriptions to keep to."""
