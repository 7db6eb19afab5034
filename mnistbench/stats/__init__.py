"""Numbers in, numbers out: scores, intervals, paired tests and timings."""
