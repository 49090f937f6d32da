"""The loop that measures, and what one sees of it."""
