"""From a run to what can be concluded from it: frames, findings, trust grades and comparisons."""
