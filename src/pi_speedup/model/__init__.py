"""What the files of a run hold: one class a file, for whoever writes it and whoever reads it."""
