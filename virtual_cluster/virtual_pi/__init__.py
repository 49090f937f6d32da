"""Virtual Pis: one process in the kubelet's role that really executes the pods of all Pis of a lab."""
