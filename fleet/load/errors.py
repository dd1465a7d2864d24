class CannotMeasure(Exception):
    """A benchmark cannot go on. The message is one sentence that says what happened, and where to look."""
