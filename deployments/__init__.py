"""Which real blocks meet which flows?  The composition root, served and deployed."""
