"""Every exception of fastseq, named by what went wrong; each is also a built-in a stranger catches.

A message says what was expected, what was found, where (row and position), and how to mend it.
The command line prints it as one line and exits with 1.
"""


class FastseqError(Exception):
    """Anything fastseq refuses to do; catch this to catch them all."""


class SequenceError(FastseqError, ValueError):
    """A letter that is no base, named with its row and position."""


class LengthError(FastseqError, ValueError):
    """A sequence longer or shorter than what takes it."""


class ShapeError(FastseqError, ValueError):
    """An array whose axes are not the expected ones."""


class DTypeError(FastseqError, TypeError):
    """An array or value of a type that the routine does not take."""


class OptionError(FastseqError, ValueError):
    """An option outside its choices or range, or two that contradict each other."""


class CountOverflowError(FastseqError, OverflowError):
    """A count that its dtype cannot hold."""


class MissingFileError(FastseqError, FileNotFoundError):
    """A file that is not there."""


class UnreadableFileError(FastseqError, OSError):
    """A file or disk that cannot be read or written."""


class FormatError(FastseqError, ValueError):
    """A file whose content is not what its format promises."""


class TableError(FastseqError, ValueError):
    """A table without the named columns, or with values that cannot stand there."""


class ContigError(FastseqError, LookupError):
    """Contig names that do not match between two files."""


class ReferenceMismatchError(FastseqError, ValueError):
    """A variant whose REF is not what the genome holds."""


class CheckpointError(FastseqError, ValueError):
    """A checkpoint that is truncated, of another kind, or unsafe to load."""


class ModelError(FastseqError, ValueError):
    """A model that cannot take these sequences or does not answer in a known shape."""


class TargetError(FastseqError, ValueError):
    """Targets that are missing, not finite, or out of the head's reach."""


class MapError(FastseqError, ValueError):
    """An attribution map that is not finite or of no number type."""


class DivergenceError(FastseqError, ArithmeticError):
    """A training whose loss left the finite numbers."""


class PrecisionError(FastseqError, ArithmeticError):
    """A reduced precision whose errors drown the effects."""


class ResumeError(FastseqError, RuntimeError):
    """An output folder that belongs to another run."""


class MissingExtraError(FastseqError, ModuleNotFoundError):
    """An optional dependency that is not installed, with the line that installs it."""


class FastseqWarning(UserWarning):
    """Something that still gives an answer, but perhaps not the one that was meant."""


class WorkerError(FastseqError, RuntimeError):
    """A worker process that died more often than it may be started again."""
