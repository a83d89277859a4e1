"""The command line, `bl-neuro`.

Exit codes: 0 success, 1 a check or a cell failed, 2 invalid input or usage, 75 an endpoint is unreachable or busy, 130
interrupted, 141 output closed early (as by `head`).
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from typing import TextIO

from bl_neuro.errors import BlNeuroError, EndpointUnavailable, printable

COMMANDS = (
    "demo", "doctor", "audit", "compare", "attack", "membership", "serve", "train", "data", "inspect", "verify",
    "export", "cache",
)  # fmt: skip
"""The modules of the commands, in the order of `bl-neuro --help`. They import what they need when they run."""
INTERRUPTED = 130
TRY_LATER = 75
"""The code of sysexits.h for a temporary failure: an endpoint is unreachable or busy."""
OUTPUT_CLOSED = 141
"""The code that a shell reports for a program ended by SIGPIPE."""


def main(arguments: list[str] | None = None) -> None:
    """Runs one command and exits with its code. Errors and warnings are one line each on standard error."""
    warnings.showwarning = _show_warning
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Runs one command and returns its exit code."""
    _open_missing_streams()
    _escape_what_streams_lack()
    try:
        from importlib import import_module

        from bl_neuro.cli.options import app as application

        for command in COMMANDS:  # each adds itself to the application
            import_module(f"bl_neuro.cli.{command}")
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
        return _output_closed()
    except BrokenPipeError:
        return _output_closed()
    except KeyboardInterrupt:
        _fail("interrupted")
        return INTERRUPTED
    except MemoryError as error:
        return _fail(f"not enough memory: {str(error) or 'a smaller network, budget or number of steps may fit'}")
    except OSError as error:
        return _fail(f"{error.filename or 'output'}: {error.strerror or error}")
    except Exception as error:
        # Errors of usage, whichever Click they come from, format themselves in one line.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        text = message()
        return _fail(f"{text} Try 'bl-neuro --help'.") if text else 0


def _open_missing_streams() -> None:
    """Opens the null device in the place of closed standard streams, as under cron.

    Files and processes would otherwise get the numbers of these streams, and the output of libraries.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the rest of the process
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for the rest of the process


def _escape_what_streams_lack() -> None:
    """Escapes characters that the encoding of a stream lacks, such as latin-1, instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Prints a warning as one line on standard error, without a place in the source code."""
    print(f"warning: {printable(' '.join(str(message).split()))}", file=file or sys.stderr)


def _output_closed() -> int:
    """Drops buffered output, since Python would fail to flush it at exit."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the rest of the process
    return OUTPUT_CLOSED


def _fail(message: str) -> int:
    print(f"error: {printable(' '.join(message.split()))}", file=sys.stderr)  # noqa: T201 - this is the command line
    return 2
