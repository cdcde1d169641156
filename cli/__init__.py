"""What does a person type, and what do they read?  Text in, exit code out."""
