"""The parent process: it runs each trial in a process of its own, and stores its record."""
