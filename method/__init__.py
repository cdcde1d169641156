"""The method as content: personas, workflows, templates and checklists, read as package data."""
