"""Every error that this project raises on purpose.

TraderError                      exit code of a command that ends on it
├── UsageError                   2   the command line contradicts itself
├── InputError                   66  a file is missing, unreadable or not what it must be
│   ├── BadBarError              66  one row of a bar file breaks a rule
│   └── StateDamagedError        66  what a daemon has kept of its account is not as it was written
├── ConfigurationError           78  a setting is unknown, out of range or contradictory
│   └── AccessError              77  it is another mode's, account's or process's, or open to other users
├── StateFailedError             1   what must survive a crash cannot be written: protect, enter nothing
├── BundleError                  78  a model bundle is damaged, foreign or does not fit
├── LogDamagedError              1   a decision log does not prove itself
├── TrainingStoppedError         1   a training that cannot become anything; the message is the diagnosis
│   ├── TrainingInterruptedError 130 somebody stopped a training; everything is saved
│   └── SeedsFailedError             seeds that were trained side by side; the code of the first that failed
├── UnreachableError             75  a daemon that should answer does not
│   └── LinkError                75  the broker does not answer, or the connection to it is gone; it is made again
│       └── RefusedError         75  the broker refused one request, by an error code
└── InvariantError               1   this program contradicts itself; never caught and continued
    └── StrategyError            1   a strategy proposed what the mask forbids, or nothing that is a proposal

Foreign errors (OSError, pandas, numba) are mapped to these in the adapter that met them.
"""


class TraderError(Exception):
    """An error that names what is wrong, where, and what to do; `exit_code` is the command's."""

    exit_code = 1


class UsageError(TraderError):
    """The command line contradicts itself."""

    exit_code = 2


class InputError(TraderError):
    """A file is missing, unreadable or not what it must be."""

    exit_code = 66


class BadBarError(InputError):
    """One row of a bar file breaks a rule; the message names file, line, field and remedy."""


class StateDamagedError(InputError):
    """What a daemon has kept of its account is not as it was written; the message names file, place and remedy."""


class ConfigurationError(TraderError):
    """A setting is unknown, out of range or contradicts another."""

    exit_code = 78


class AccessError(ConfigurationError):
    """It belongs to another mode, account or process, or other users may change it; nothing of it is used."""

    exit_code = 77


class StateFailedError(TraderError):
    """What must survive a crash cannot be written any more: positions are protected, nothing is entered."""


class BundleError(TraderError):
    """A model bundle is damaged, foreign or does not fit what it should trade."""

    exit_code = 78


class UnreachableError(TraderError):
    """A daemon that should answer does not; trying again later may help."""

    exit_code = 75


class LinkError(UnreachableError):
    """The broker does not answer, or the connection to it is gone; it is made again without help."""


class RefusedError(LinkError):
    """The broker refused one request. `code` is its error's number."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class LogDamagedError(TraderError):
    """A decision log was changed, cut or reordered."""


class TrainingStoppedError(TraderError):
    """A training that cannot become anything; the message is the diagnosis."""


class TrainingInterruptedError(TrainingStoppedError):
    """Somebody stopped a training, and everything is saved; the code is a shell's for SIGINT."""

    exit_code = 130


class SeedsFailedError(TrainingStoppedError):
    """Some seeds that were trained side by side did not end well; the code is that of the first."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class InvariantError(TraderError):
    """This program contradicts itself."""


class StrategyError(InvariantError):
    """A strategy proposed an action that the mask forbids, or returned what is no proposal."""
