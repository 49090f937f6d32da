"""Several runs: the history of a folder, one run against another, and their pages."""
