"""How does each outside thing (git, models, sandbox, files, people) look from the inside?  One module per thing."""
