"""The rig's own tests: they need nothing of the product."""
