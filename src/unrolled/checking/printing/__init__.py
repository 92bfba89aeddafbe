"""A report in words: as text, Markdown, JSON or JUnit's XML, and how much of it is told."""
