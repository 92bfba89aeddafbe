"""The process that an untrusted file is run in, its limits, and how it ended."""
