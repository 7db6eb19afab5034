"""What a run will do: suites and options become trials, and model files are read without being run."""
