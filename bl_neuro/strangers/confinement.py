"""Takes from the current process what it does not need in order to read one open file (Linux).

`confine` is for a process that reads untrusted files with code that may be taken over. Afterwards it can use the
descriptors it has and memory and processor time up to its limits, but cannot open files, create sockets or start
processes. System calls are filtered where the kernel and the processor allow it; the resource limits always hold.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import signal
import struct

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
FILTER_MODE = 2
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""Processors, as the kernel names them to filters."""
CALLS = {
    "x86_64": (
        *(0, 1, 5, 8),  # read write fstat lseek
        *(9, 10, 11, 12, 25, 28),  # mmap mprotect munmap brk mremap madvise
        *(13, 14, 15, 131),  # rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack
        *(16, 72, 17, 3, 262),  # ioctl fcntl pread64 close newfstatat
        *(44, 45, 46, 47, 7, 23, 270, 271),  # sendto recvfrom sendmsg recvmsg poll select pselect6 ppoll
        *(24, 39, 110, 186, 202, 334),  # sched_yield getpid getppid gettid futex rseq
        *(96, 228, 318),  # gettimeofday clock_gettime getrandom
        *(97, 98, 160, 302),  # getrlimit getrusage setrlimit prlimit64
        *(60, 231, 234),  # exit exit_group tgkill
    ),
    "aarch64": (
        *(63, 64, 80, 62),
        *(222, 226, 215, 214, 216, 233),
        *(134, 135, 139, 132),
        *(29, 25, 67, 57, 79),
        *(206, 207, 211, 212, 72, 73),  # has no poll and select
        *(124, 172, 173, 178, 98, 293),
        *(169, 113, 278),
        *(163, 165, 164, 261),
        *(93, 94, 131),
    ),
}
"""The system calls that stay allowed, by processor, in the same order."""


def end_with_parent(parent: int) -> None:
    """Has the kernel kill this process when the thread that started it ends; exits if that has happened already."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def confine(free_descriptors: int) -> bool:
    """Confines this process; cannot be undone. Returns whether system calls are filtered.

    free_descriptors: number of descriptors that it may receive or open at a time.
    """
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))  # includes that of the listing itself
    _limit(resource.RLIMIT_NOFILE, highest + free_descriptors)
    for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC):
        _limit(limit, 0)
    _prctl(PR_SET_DUMPABLE, 0)
    return _filter_calls()


def limit_memory_and_time(statm: int, extra_bytes: int, seconds: int) -> None:
    """Limits this process to `extra_bytes` of memory and `seconds` of processor time more than it has used so far.

    statm: descriptor of /proc/self/statm, which a confined process cannot open.
    """
    pages = int(os.pread(statm, 100, 0).split()[0])
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _soften(resource.RLIMIT_AS, pages * resource.getpagesize() + extra_bytes)
    _soften(resource.RLIMIT_CPU, int(usage.ru_utime + usage.ru_stime) + 1 + seconds)


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def _soften(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    resource.setrlimit(which, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _prctl(option: int, value: int, pointer: object = 0) -> bool:
    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), pointer, 0, 0) == 0)
    return False


def _filter_calls() -> bool:
    """Refuses all system calls but `CALLS`, with the error EPERM."""
    if platform.machine() not in CALLS:
        return False
    architecture, allowed = ARCHITECTURES[platform.machine()], CALLS[platform.machine()]
    load, equal, answer = 0x20, 0x15, 0x06
    permit, refuse = 0x7FFF0000, 0x00050000 | 1
    program = [(load, 0, 0, 4), (equal, 1, 0, architecture), (answer, 0, 0, refuse), (load, 0, 0, 0)]
    for index, number in enumerate(allowed):
        program.append((equal, len(allowed) - index, 0, number))
    program += [(answer, 0, 0, refuse), (answer, 0, 0, permit)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *instruction) for instruction in program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    return _prctl(PR_SET_NO_NEW_PRIVS, 1) and _prctl(PR_SET_SECCOMP, FILTER_MODE, ctypes.byref(header))
