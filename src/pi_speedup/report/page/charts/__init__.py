"""The charts of the pages. Imports matplotlib."""
