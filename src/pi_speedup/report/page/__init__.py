"""report.html: one file that asks nobody for anything, with its charts, its checks and its data."""
