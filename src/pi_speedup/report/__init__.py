"""From a run's files to its report: figures, intervals, checks and what people see of them."""
