"""The commands `python -m pi_speedup history`, `compare` and `inventory`; docs/commands.md has them all."""
