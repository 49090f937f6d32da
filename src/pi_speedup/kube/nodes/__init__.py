"""The cluster's nodes as Pis."""
