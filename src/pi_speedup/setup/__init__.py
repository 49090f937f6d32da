"""What is made before anything is measured: an inventory, rights in a cluster, images on the Pis."""
