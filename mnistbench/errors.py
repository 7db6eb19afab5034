"""The errors that a user can cause and mend; the command line prints their text without a traceback."""


class MnistbenchError(Exception):
    """Something the user can act on; the text names the thing, what was expected and what to do next."""

    exit_status = 1


class UsageError(MnistbenchError):
    """The command, an option, a suite or a model's name is wrong."""

    exit_status = 2


class DataError(MnistbenchError):
    """A data set cannot be had, or is not what it claims to be."""

    exit_status = 3
