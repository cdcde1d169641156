"""In which order do things happen?  Wiring only."""
