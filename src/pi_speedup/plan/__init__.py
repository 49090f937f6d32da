"""What will be measured and in which order, what comes next, and how long it takes: pure functions."""
