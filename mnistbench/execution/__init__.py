"""The parent process: runs each trial in a separate process and stores its record."""
