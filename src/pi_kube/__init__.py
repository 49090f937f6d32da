"""What this project does at the Kubernetes API beyond plain reads and applies: follow, collect, remove.

Knows nothing of Ansible; every request has its own timeout; every error is one line with the next step.
"""
