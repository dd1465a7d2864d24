"""What looks at the container from outside: it knows its HTTP, and nothing of its inside."""
