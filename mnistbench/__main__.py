"""`python -m mnistbench` is `mnistbench`."""

from mnistbench.cli import main

if __name__ == "__main__":
    main()
