"""What the capabilities need from outside: one Protocol per module."""
