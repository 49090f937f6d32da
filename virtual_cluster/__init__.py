"""A laboratory for people without Pis: a real control plane and virtual Pis, as ordinary processes."""
