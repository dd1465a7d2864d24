"""What programs that measure a model's hearing share: the manifest of recordings, and how texts are compared."""
