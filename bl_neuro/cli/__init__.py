"""The command line, `bl-neuro`.

Exit codes: 0 done, 1 the check it makes failed, 2 bad input or usage, 75 an endpoint is away or busy, 130 interrupted,
141 whoever reads the output closed it (as `head` does).
"""

from __future__ import annotations

import os
import sys

from bl_neuro.cli.printable import printable
from bl_neuro.errors import BlNeuroError, EndpointUnavailable

INTERRUPTED = 130
TRY_LATER = 75
"""What sysexits.h says of what may go well another time: an endpoint is away or busy."""
NOBODY_READS = 141
"""What a shell says of a program that SIGPIPE ended."""


def main(arguments: list[str] | None = None) -> None:
    """Runs one command and exits with its code. Errors are one line on standard error."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Runs one command and returns its exit code."""
    from bl_neuro.cli import commands, attack, serve  # noqa: F401, I001 - they join the application, in this order
    from bl_neuro.cli.options import app as application

    try:
        code = int(application(args=arguments, prog_name="bl-neuro", standalone_mode=False) or 0)
        sys.stdout.flush()
        if code == INTERRUPTED:  # Typer makes an exit code of Ctrl-C
            _fail("interrupted")
        return code
    except EndpointUnavailable as error:
        _fail(str(error))
        return TRY_LATER
    except BlNeuroError as error:
        return _fail(str(error))
    except SystemExit as error:  # Typer makes exit code 1 of a closed pipe, which means a failed check here
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        return _nobody_reads()
    except BrokenPipeError:
        return _nobody_reads()
    except KeyboardInterrupt:
        _fail("interrupted")
        return INTERRUPTED
    except MemoryError as error:
        return _fail(f"not enough memory: {str(error) or 'a smaller network, budget or number of steps may fit'}")
    except OSError as error:
        return _fail(f"{error.filename or 'output'}: {error.strerror or error}")
    except Exception as error:
        # Typer's own errors of usage, whatever Click they come from, know how to say themselves in one line.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        said = message()
        return _fail(f"{said} Try 'bl-neuro --help'.") if said else 0


def _nobody_reads() -> int:
    """Ends in silence: what is still buffered goes nowhere, or Python would complain as it exits."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the rest of the process
    return NOBODY_READS


def _fail(message: str) -> int:
    print(f"error: {printable(' '.join(message.split()))}", file=sys.stderr)  # noqa: T201 - this is the command line
    return 2
