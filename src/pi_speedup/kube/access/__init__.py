"""The way to the API: a kubeconfig, a client, its errors and the shape of what it answers."""
