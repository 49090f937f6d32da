"""One trial's Job: asked for, followed to its end, and what its pods left."""
