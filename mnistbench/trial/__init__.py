"""The child process: one trial in, one measurement out."""
