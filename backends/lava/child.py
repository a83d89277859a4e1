"""The child process that holds one real Lava network. Run by path; needs only NumPy and Lava, not bl_neuro.

It reads frames from standard input and answers on what was standard output (anything Lava prints goes to standard
error). A frame is 4 bytes of header length (big endian), the header as JSON, and `bytes` raw bytes of payload:

    {"op": "open", "net": path, "steps": T, "layers": bool, "sparse": bool, "streamed": bool,
     "prefix": shared-memory name prefix, "folder": temporary files, "parent": process id of the supervisor}
    {"op": "run", "samples": n} + uint8 (n, T, *lava input shape)   ->  {"shapes": [...]} + uint8, one (n, T, *shape)
                                                                        array per recorded layer, the output last
    {"op": "close"}

Samples are streamed through the one running network: it takes one frame a step, is reset every T + layers steps, each
layer when the first frame of the next sample reaches it, and is advanced with one RunSteps a sample. Not streamed, it
is not reset and takes one sample.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import signal
import struct
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, NoReturn

MAX_HEADER = 2**20


def encode_frame(header: dict[str, Any], payload: bytes = b"") -> bytes:
    """One frame, ready to be sent."""
    encoded = json.dumps({**header, "bytes": len(payload)}).encode()
    return struct.pack(">I", len(encoded)) + encoded + payload


def read_frame(read: Callable[[int], bytes]) -> tuple[dict[str, Any], bytes]:
    """Receives one frame through `read(count)`. EOFError where the other side is gone or talks another language."""

    def exactly(count: int) -> bytes:
        data = read(count)
        if len(data) < count:
            raise EOFError("the other side closed the pipe")
        return data

    (length,) = struct.unpack(">I", exactly(4))
    if length > MAX_HEADER:
        raise EOFError("not a frame")
    header = json.loads(exactly(length))
    return header, exactly(header["bytes"])


def name_what_is_left(prefix: str, folder: str) -> None:
    """Names what this process group may leave: shared memory and semaphores by `prefix`, sockets inside `folder`.

    So that the supervisor can remove what a killed simulation leaves, and nothing else.
    """
    from multiprocessing import process, shared_memory

    # private names of the standard library, the same from 3.8 to 3.13; without them names are random
    shared_memory._SHM_NAME_PREFIX = f"/{prefix}"  # type: ignore[attr-defined]
    shared_memory._SHM_SAFE_NAME_LENGTH = len(prefix) + 13  # type: ignore[attr-defined]
    process.current_process()._config.update(semprefix=f"/{prefix}sem", tempdir=folder)  # type: ignore[attr-defined]


def remove_shared_memory(prefix: str) -> None:
    """Removes the segments and semaphores that were made under `prefix`."""
    for pattern in (f"/dev/shm/{glob.escape(prefix)}*", f"/dev/shm/sem.{glob.escape(prefix)}*"):
        for path in glob.glob(pattern):
            with contextlib.suppress(OSError):
                os.unlink(path)


def watch_parent(parent: int, names: tuple[str, str]) -> None:
    """Has a thread end everything once the parent is gone, also in the middle of a query."""
    threading.Thread(target=_end_with_parent, args=(parent, names), daemon=True).start()


def _end_with_parent(parent: int, names: tuple[str, str]) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    end_without_parent(names)


def end_without_parent(names: tuple[str, str] | None) -> NoReturn:
    """Ends the whole group and removes what it leaves under these names, as a parent that was killed cannot."""
    group = os.getpgrp()
    with contextlib.suppress(OSError):
        while os.fork():
            signal.pause()  # until the other one kills this one too
        os.setsid()  # outside of the group it outlives it: what it removes stays removed
    try:
        _kill_group(group)
        if names is not None:
            remove_shared_memory(names[0])
            shutil.rmtree(names[1], ignore_errors=True)
    finally:
        os._exit(0)


def _kill_group(group: int, patience_s: float = 5.0) -> None:
    """Kills a process group and waits until it is gone, or until only zombies that nobody reaps can be left."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            return
        time.sleep(0.01)


def import_netx() -> Any:
    """lava-dl's netx, without PyTorch and SLAYER, which take most of a start.

    netx 0.6.0 imports them for resonate-and-fire neurons and for its PyTorch pipelines; a network of ours has neither.
    """
    if version("lava-dl") == "0.6.0":
        unused = {"Tensor": object, "tensor": object, "neuron_params": None}
        for name in ("torch", "lava.lib.dl.slayer", "lava.lib.dl.slayer.neuron", "lava.lib.dl.slayer.neuron.rf"):
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__dict__.update(unused)
    from lava.lib.dl import netx

    return netx


def follow_actors(actors: list[Any]) -> None:
    """Lists Lava's processes in `actors` as they start, and has them print the error that ends them.

    Lava keeps such an error to itself; printed, it is there for the supervisor to see.
    """
    from lava.magma.runtime.message_infrastructure.multiprocessing import SystemProcess

    start, run = SystemProcess.start, SystemProcess.run

    def listed(process: Any) -> None:
        start(process)
        actors.append(process)

    def telling(process: Any) -> None:
        target = process._target

        def told(*args: Any, **options: Any) -> None:
            try:
                target(*args, **options)
            except Exception:  # whatever it is, it is told on standard error and goes on to Lava
                traceback.print_exc()
                raise

        process._target = told
        run(process)

    SystemProcess.start, SystemProcess.run = listed, telling


def _end_with_an_actor(actors: list[Any], ready: threading.Event) -> None:
    """Ends this process where one of Lava's is killed while they start: Lava would wait for it for ever."""
    while not ready.wait(0.1):
        if not all(actor.is_alive() for actor in list(actors)) and not ready.wait(1.0):  # or Lava tells of an error
            sys.stderr.write("a process of the simulation was killed while it was starting\n")
            sys.stderr.flush()
            os._exit(1)


class Simulation:
    """One netx network, running, with pipes into its first synapse and out of its neurons."""

    def __init__(self, netx: Any, net: str, steps: int, layers: bool, sparse: bool, streamed: bool) -> None:
        from lava.magma.core.run_conditions import RunSteps
        from lava.magma.core.run_configs import Loihi2SimCfg

        probe = netx.hdf5.Network(net_config=net, sparse_fc_layer=sparse)
        self.depth = len(probe.layers)
        self.steps = steps
        self.period = steps + self.depth
        reset = {"reset_interval": self.period, "reset_offset": 1} if streamed else {}
        self.network = netx.hdf5.Network(net_config=net, sparse_fc_layer=sparse, **reset) if streamed else probe
        blocks = self.network.layers
        self.inputs = blocks[0].synapse.s_in
        self.outputs = [block.neuron.s_out for block in (blocks if layers else blocks[-1:])]
        self.delays = list(range(1, self.depth + 1)) if layers else [self.depth]
        for port in (self.inputs, *self.outputs):
            port.flag_external_pipe(buffer_size=self.period + 1)
        self.condition = RunSteps(num_steps=self.period)
        self.network.create_runtime(run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))

    def run(self, sample: Any) -> list[Any]:
        """Spikes (T, *shape) of every recorded layer for one sample (T, *input shape), delays removed."""
        import numpy as np

        silence = np.zeros(self.inputs.shape)
        send = self.inputs.external_pipe_csp_send_port.send
        for step in range(self.period):
            send(sample[step].astype(float) if step < self.steps else silence)
        self.network.run(condition=self.condition)
        answers = []
        for port, delay in zip(self.outputs, self.delays):
            frames = [port.external_pipe_csp_recv_port.recv() for _ in range(self.period)]
            answers.append(np.stack(frames[delay : delay + self.steps]).astype(np.uint8))
        return answers


def _open(header: dict[str, Any]) -> tuple[Simulation, dict[str, Any]]:
    actors: list[Any] = []
    ready = threading.Event()
    netx = import_netx()
    follow_actors(actors)
    threading.Thread(target=_end_with_an_actor, args=(actors, ready), daemon=True).start()
    try:
        simulation = Simulation(
            netx, header["net"], header["steps"], header["layers"], header["sparse"], header["streamed"]
        )
    finally:
        ready.set()
    return simulation, {"actors": [actor.pid for actor in actors]}


def _run(simulation: Simulation, header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
    import numpy as np

    samples = np.frombuffer(payload, np.uint8).reshape(header["samples"], simulation.steps, *simulation.inputs.shape)
    answers = [np.stack(layer) for layer in zip(*(simulation.run(sample) for sample in samples))]
    return {"shapes": [list(answer.shape) for answer in answers]}, b"".join(answer.tobytes() for answer in answers)


def main() -> None:
    """Serves frames until told to close, or until the parent is gone."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever Lava prints must not get into the answers
    simulation: Simulation | None = None
    names: tuple[str, str] | None = None

    def answer(header: dict[str, Any], payload: bytes = b"") -> None:
        try:
            answers.write(encode_frame(header, payload))
            answers.flush()
        except OSError:
            end_without_parent(names)

    while True:
        try:
            header, payload = read_frame(sys.stdin.buffer.read)
        except EOFError:
            end_without_parent(names)
        try:
            if header["op"] == "open":
                names = header["prefix"], header["folder"]
                name_what_is_left(*names)
                watch_parent(header["parent"], names)
                simulation, reply = _open(header)
                answer(reply)
            elif header["op"] == "run" and simulation is not None:
                answer(*_run(simulation, header, payload))
            else:
                break
        except (EOFError, ConnectionError):  # Lava's shared-memory manager is gone
            traceback.print_exc()
            os._exit(1)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the supervisor is told and this process ends
            answer({"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()})
            break
    if simulation is not None:
        simulation.network.stop()
    os._exit(0)  # the interpreter would take seconds to tear down what Lava imported


if __name__ == "__main__":
    main()
