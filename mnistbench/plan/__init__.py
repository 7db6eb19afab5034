"""What a run will do: turns suites and options into trials, and reads model files without running them."""
