"""What the programs that measure under load share: the recordings they send, where they ran, what they were asked."""
