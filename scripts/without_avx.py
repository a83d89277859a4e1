"""Runs a command as on a processor without AVX and without fused multiply-add, to show what depends on the last bit.

    python scripts/without_avx.py python -m pytest tests/leakage    # runs it
    python scripts/without_avx.py                                   # prints the environment alone

Sums, products and exponentials differ in their last bit between instruction sets, since values are added in another
order or rounded once where they were rounded twice. Each library chooses its instructions at its start, from what the
processor has and what these variables leave of it:

    ATEN_CPU_CAPABILITY                         torch's own kernels
    MKL_CBWR, MKL_ENABLE_INSTRUCTIONS           MKL, torch's matrix products
    ONEDNN_MAX_CPU_ISA                          oneDNN, torch's convolutions
    NPY_DISABLE_CPU_FEATURES                    NumPy's own loops
    OPENBLAS_CORETYPE                           OpenBLAS, matrix products of NumPy and SciPy
    NUMBA_CPU_NAME, NUMBA_CPU_FEATURES          what Numba compiles
    GLIBC_TUNABLES                              exp, log, sin and the like of the C library

NumPy complains about a feature that it does not know or that the processor lacks, so the script disables those features
that NumPy uses on this processor.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys

FEATURES = """
try:
    from numpy._core import _multiarray_umath as core
except ImportError:
    from numpy.core import _multiarray_umath as core
print(*(name for name in core.__cpu_dispatch__ if core.__cpu_features__[name]))
"""
"""What NumPy uses beyond what it was built for, of what this processor has."""


def environment() -> dict[str, str]:
    """The variables."""
    plain = {name: value for name, value in os.environ.items() if name != "NPY_DISABLE_CPU_FEATURES"}
    printed = subprocess.run([sys.executable, "-c", FEATURES], env=plain, capture_output=True, text=True, check=True)
    return {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "NPY_DISABLE_CPU_FEATURES": printed.stdout.strip(),
        "OPENBLAS_CORETYPE": "Prescott",
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX2_Usable,-FMA_Usable,-FMA4_Usable",
    }


def main() -> None:
    """Prints the variables, or starts the command with them in place of this process."""
    if platform.machine() not in ("x86_64", "AMD64"):
        sys.exit(f"without_avx.py: expected an x86-64 processor, found {platform.machine()}, which has no AVX")
    variables, command = environment(), sys.argv[1:]
    if not command:
        print("\n".join(f"export {name}='{value}'" for name, value in variables.items()))
        return
    os.execvpe(command[0], command, {**os.environ, **variables})


if __name__ == "__main__":
    main()
