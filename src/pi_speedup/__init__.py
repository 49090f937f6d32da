"""Results of a run in, a speedup report out: pure Python, no Ansible, no network."""

__version__ = "0.1.0"
