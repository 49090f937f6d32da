"""Virtual Pis one can log in to: containers with sshd, kubelet, containerd and Docker."""
