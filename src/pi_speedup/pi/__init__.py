"""What a Pi says and what runs on it alone: its state, ssh's and docker's words, the base case."""
