"""Finds the backend of a substrate, built in or added by another package.

Packages add backends through the entry-point group `bl_neuro.backends`: name = "package.module:BackendClass".
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from bl_neuro.backends.base import Backend
from bl_neuro.errors import UnknownSubstrate
from bl_neuro.registries import KINDS
from bl_neuro.registry import Registry

ANN = "ann"
"""The substrate name in results of attacks on ANN twins, which run on no substrate. No backend may have it."""

BACKENDS: Registry[Backend] = Registry(
    noun="substrate",
    group=KINDS["substrates"].group,
    base="bl_neuro.backends.base:Backend",
    ours=KINDS["substrates"].ours,
    unknown=UnknownSubstrate,
    reserved={ANN: "ANN twins of targets in results"},
)


def available_substrates() -> tuple[str, ...]:
    """Names of all substrates that have a backend, built-in ones first, installed or not."""
    return BACKENDS.names


def find_backend(name: str) -> type[Backend]:
    """The backend of substrate `name`. Imports no framework.

    Raises:
        UnknownSubstrate: no substrate has that name. PluginError: another package's backend does not load.
    """
    return BACKENDS.find(name)


def substrates_with(fact: str) -> tuple[str, ...]:
    """Names of the substrates whose backend declares `fact`, such as "differentiable". Skips broken backends."""
    return tuple(name for name, backend in BACKENDS.usable().items() if getattr(backend, fact))


def arithmetic_title(arithmetic: str) -> str:
    """What reports call an arithmetic, as its backends declare it; the name itself if no such backend is installed."""
    backends = (backend for backend in BACKENDS.usable().values() if backend.arithmetic == arithmetic)
    return next((backend.arithmetic_title for backend in backends if backend.arithmetic_title), arithmetic)


def missing_reason(backend: type[Backend], **options: Any) -> str | None:
    """Why the framework of a backend cannot be used and what to install, or None if it can be used.

    options: options for opening the target, which may name another interpreter.
    """
    missing = not_installed(backend, **options)
    if missing is not None or not backend.imported_here or backend.other_python(**options) is not None:
        return missing
    return next(filter(None, map(_import_problem, backend.modules)), None)


def not_installed(backend: type[Backend], **options: Any) -> str | None:
    """Like `missing_reason`, but only looks for the framework and imports none of it, so it may be broken."""
    python = backend.other_python(**options)
    if python is not None:
        return missing_in(python, backend.modules)
    for module in backend.modules:
        if not _findable(module):
            return f"{module} is not installed; install it with: {install_command(backend)}"
    return None


def install_command(backend: type[Backend]) -> str:
    """The command that installs the requirements of the backend, or a note that another Python is needed."""
    command = f'pip install "{backend.requirement}"'
    newest = backend.newest_python
    if newest is not None and sys.version_info[:2] > newest:
        python = ".".join(map(str, newest))
        running = sys.version.split()[0]
        return f"{command} under Python {python} ({backend.title} supports nothing newer; this is {running})"
    return command


def _import_problem(module: str) -> str | None:
    """Why `module` cannot be imported, or None. Discards what it prints, since lava-dl prints a banner."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            importlib.import_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a broken installation raises anything
        return f"{module} is installed but does not import: {type(error).__name__}: {error}"
    return None


def _findable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None  # imports the packages around it, which are empty in Lava
    except (ImportError, ValueError):
        return False


PROBE_S = 60.0
"""Seconds that another interpreter may take to list its packages."""
ANSWER = "installation: "
PROBE = """
import importlib.util, json, sys
def findable(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
missing = [name for name in sys.argv[1:] if not findable(name)]
print("\\ninstallation: " + json.dumps({"version": sys.version.split()[0], "missing": missing}))
"""


def missing_in(python: str, modules: Sequence[str]) -> str | None:
    """Why `modules` cannot be used in the interpreter `python`, or None if they can.

    The result is cached for this process unless something is missing.
    """
    try:
        _ask(python, tuple(modules))
    except _Missing as error:
        return str(error)
    return None


class _Missing(Exception):
    """Something is missing. An exception rather than a return value, so that only success is cached."""


@lru_cache(maxsize=16)
def _ask(python: str, modules: tuple[str, ...]) -> None:
    try:
        done = subprocess.run(
            [python, "-W", "ignore", "-c", PROBE, *modules],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _Missing(f"the interpreter {python} did not answer in {PROBE_S:g} s") from None
    except (OSError, ValueError) as error:
        raise _Missing(f"the interpreter {python} does not start: {error}") from error
    answers = [line for line in done.stdout.splitlines() if line.startswith(ANSWER)]
    if done.returncode or not answers:
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise _Missing(f"{python} is not a working Python interpreter (exit status {done.returncode}): {last[:300]}")
    installation = json.loads(answers[-1].removeprefix(ANSWER))
    if installation["missing"]:
        names = ", ".join(installation["missing"])
        raise _Missing(f"{names} not installed in the interpreter {python} (Python {installation['version']})")
