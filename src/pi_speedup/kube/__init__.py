"""What is asked of Kubernetes: look at its nodes, say who measures, run a Job as one trial, clean up.

Every request has its own timeout; every error is a KubeError, one line with the next step.
"""
