"""One netx network running in Lava, with input and output pipes. Part of the child process, so it cannot use bl_neuro.

A wall step is a time step of the simulation. Layer l answers input step t at wall step t + lag, where the lag is one
per synapse on the way and zero for input neurons. A sample takes T + (lag of the last layer) wall steps.

Sigma-delta networks have graded messages, of 32 bits, in place of spikes, and other states; see `STATES`.

Between samples the network is reset in one of two ways. Normally Lava resets each layer by itself when the first input
of the next sample reaches it (`LIFReset`). Synapses with delays and recurrent synapses hold spikes that this does not
reset, sigma-delta neurons do not reset themselves at all, and a cold start needs all layers reset together: the
simulation then pauses and the states are set to zero.
"""

from __future__ import annotations

import contextlib
import importlib
import mmap
import os
import sys
import threading
import traceback
import types
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np

SHARED_MEMORY = "/dev/shm"
STATES = {"Delta": ("act", "residue"), "SigmaDelta": ("sigma", "act", "residue"), "Sigma": ("sigma",)}
"""State variables of neurons by their process; those of all other processes are u and v."""
CHANNEL_MESSAGES = 4
"""Messages that fit into a channel between processes of a simulation for several samples: Lava has 64, of which one
time step never fills more than two."""
SEMAPHORES_OF_A_CHANNEL, OTHER_SEMAPHORES = 3, 8
"""Approximate, of lava-nc 0.10."""


def import_netx() -> Any:
    """Imports lava-dl's netx without PyTorch, SLAYER and pandas, whose imports take most of the start time.

    netx 0.6.0 imports the first two for resonate-and-fire neurons and for its PyTorch pipelines, which are not used
    here. Lava's compiler imports pandas if it is available and works without it.
    """
    if version("lava-dl") == "0.6.0":
        unused = {"Tensor": object, "tensor": object, "neuron_params": None}
        for name in ("torch", "lava.lib.dl.slayer", "lava.lib.dl.slayer.neuron", "lava.lib.dl.slayer.neuron.rf"):
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__dict__.update(unused)
        sys.modules.setdefault("pandas", None)  # type: ignore[arg-type]  # importing it is an ImportError
    from lava.lib.dl import netx

    return netx


def prepare() -> None:
    """Imports everything that a simulation needs, which is most of its start time."""
    import_netx()
    models = [f"lava.proc.{kind}.models" for kind in ("lif", "sparse", "dense")]
    for name in ("lava.magma.compiler.compiler", *models):
        with contextlib.suppress(ImportError):  # another version may have moved it
            importlib.import_module(name)


def follow_actors(actors: list[Any]) -> None:
    """Adds Lava's processes to `actors` as they start, and makes them print the error that ends them.

    Lava does not report such an error; printed, it appears in the supervisor's log.
    """
    from lava.magma.runtime.message_infrastructure.multiprocessing import SystemProcess

    start, run = SystemProcess.start, SystemProcess.run

    def start_listed(process: Any) -> None:
        start(process)
        actors.append(process)

    def run_printing_errors(process: Any) -> None:
        target = process._target

        def printing_target(*args: Any, **options: Any) -> None:
            try:
                target(*args, **options)
            except Exception:  # any error is printed to standard error and raised again in Lava
                traceback.print_exc()
                raise

        process._target = printing_target
        run(process)

    SystemProcess.start, SystemProcess.run = start_listed, run_printing_errors


def opened(header: dict[str, Any], failed: Any) -> tuple[Simulation, list[int]]:
    """The simulation described by `header`, and its process ids. Calls `failed(exit_code)` if one ends early."""
    actors: list[Any] = []
    ready = threading.Event()
    netx = import_netx()
    follow_actors(actors)
    threading.Thread(target=_watch_the_start, args=(actors, ready, failed), daemon=True).start()
    try:
        simulation = Simulation(
            netx, header["net"], header["steps"], header["layers"], header["samples"], header["start"], header["units"]
        )
    finally:
        ready.set()
    return simulation, [actor.pid for actor in actors]


def _watch_the_start(actors: list[Any], ready: threading.Event, failed: Any) -> None:
    """Detects a process that is killed while starting, for which Lava would wait forever."""
    while not ready.wait(0.1):
        ended = [actor for actor in list(actors) if not actor.is_alive()]
        if ended and not ready.wait(1.0):  # unless Lava reports an error
            failed(ended[0].exitcode)


class Simulation:
    """A running network.

    steps: T. layers: whether to record all layers. samples: number of samples that are processed at once, see
    `_process_together`. start: see the module. units: indices of blocks of sigma-delta neurons without ReLU, which
    netx does not know.
    """

    def __init__(
        self, netx: Any, net: str, steps: int, layers: bool, samples: int, start: str, units: list[int]
    ) -> None:
        from lava.magma.core.run_configs import Loihi2SimCfg

        make = partial(netx.hdf5.Network, net_config=net, sparse_fc_layer=samples > 1)
        self.network = make()
        self.current = not hasattr(self.network.layers[0], "synapse")
        self.lags = [index + (not self.current) for index in range(len(self.network.layers))]
        self.steps = steps
        self.period = steps + self.lags[-1]
        self.graded = any(type(block.neuron).__name__ in STATES for block in self.network.layers)
        resets_itself = start == "aligned" and not self.graded and not any(map(_holds_spikes, self.network.layers))
        if resets_itself:
            self.network = make(reset_interval=self.period, reset_offset=0 if self.current else 1)
        self.blocks = self.network.layers
        for index in units:
            self.blocks[index].neuron.proc_params.overwrite("act_mode", 0)
        if samples > 1:
            _process_together(self.blocks, samples)
        self.clears = {} if resets_itself else _variables_to_clear(self.blocks, self.lags, start)
        self.fresh = True
        last = len(self.blocks) - 1
        recorded = range(len(self.blocks)) if layers else [last]
        starts = [0 if self.graded and start == "cold" and index == last else self.lags[index] for index in recorded]
        self.outputs = [
            (self.blocks[index].neuron.s_out, first, self.steps + self.lags[index])
            for index, first in zip(recorded, starts)
        ]
        if self.current:
            _widen_currents()
            self.inputs = self.blocks[0].neuron.a_in
        else:
            self.inputs = self.blocks[0].synapse.s_in
        pipes = [self.inputs, *(port for port, _, _ in self.outputs)]
        for port in pipes:
            port.flag_external_pipe(buffer_size=self.period + 1)
        channels = {"pypy_channel_size": CHANNEL_MESSAGES} if samples > 1 else {}
        executable = self.network.compile(Loihi2SimCfg(select_tag="fixed_pt"), channels)
        check_shared_memory(shared_memory_of(executable, [(port.shape, self.period + 1) for port in pipes]))
        self.network.create_runtime(executable=executable)

    @property
    def input_dtype(self) -> Any:
        """Data type of the input: uint8 for spikes, int32 for currents."""
        return np.int32 if self.current else np.uint8

    @property
    def output_dtype(self) -> Any:
        """Data type of the output: uint8 for spikes, int32 for graded messages."""
        return np.int32 if self.graded else np.uint8

    def run(self, sample: Any, states: bool) -> tuple[list[Any], list[Any]]:
        """Spikes (T, *shape) of recorded layers for a sample (T, *input shape), lags removed; states of each layer.

        The messages of a sigma-delta output after a cold start include those before its first input, since its value
        is their sum.
        """
        send = self.inputs.external_pipe_csp_send_port.send
        silence = np.zeros(self.inputs.shape, sample.dtype)
        for step in range(self.period):
            send(sample[step] if step < self.steps else silence)
        state_values = self._advance(states)
        answers = []
        for port, first, end in self.outputs:
            frames = [port.external_pipe_csp_recv_port.recv() for _ in range(self.period)]
            answers.append(np.stack(frames[first:end]).astype(self.output_dtype))
        return answers, state_values

    def _advance(self, states: bool) -> list[Any]:
        """Runs one sample's wall steps, pausing to clear or read states; returns the states, if requested."""
        reads = {self.steps + lag: block.neuron for block, lag in zip(self.blocks, self.lags)} if states else {}
        clears = {step - 1: variables for step, variables in self.clears.items()}
        state_values: list[Any] = []
        finished_steps = 0
        for pause in sorted({*reads, *clears, self.period}):
            self._run_steps(pause - finished_steps)
            finished_steps = pause
            if pause in reads:
                state_values.append([np.asarray(state.get(), np.int32) for state in _states(reads[pause])])
            if pause > 0 or not self.fresh:  # Lava has no states before its first step
                for variable in clears.get(pause, ()):
                    variable.set(np.zeros(variable.shape, np.int32))
        return state_values

    def _run_steps(self, count: int) -> None:
        from lava.magma.core.run_conditions import RunSteps

        if count > 0:
            self.network.run(condition=RunSteps(num_steps=count))
            self.fresh = False


def check_shared_memory(needed: int) -> None:
    """Checks that `needed` bytes of /dev/shm are free, since the kernel kills processes that use more than there is.

    Raises:
        MemoryError: fewer bytes are free.
    """
    free = shared_memory_free()
    if free is not None and free < needed:
        raise MemoryError(
            f"{SHARED_MEMORY}: expected {-(-needed // 1024):,} KiB of free shared memory for this network, found "
            f"{free // 1024:,} KiB; enlarge it (docker run --shm-size=1g, or mount -o remount,size=1g "
            f"{SHARED_MEMORY}), or use fewer replicas, runtimes or time steps"
        )


def shared_memory_free() -> int | None:
    """Bytes of shared memory that are free, or None if there is no limit."""
    status = os.statvfs(SHARED_MEMORY)
    return status.f_bavail * status.f_frsize if status.f_blocks else None


def shared_memory_of(executable: Any, pipes: list[tuple[Any, int]]) -> int:
    """Bytes of shared memory of a compiled network: messages, and semaphores of one page each.

    pipes: (shape, number of messages) of the pipes into and out of the network.
    """
    ports = [
        getattr(channel, "src_port_initializer", None) or channel.port_initializer
        for channel in (*executable.channel_builders, *executable.sync_channel_builders)
    ]
    channels = [(port.shape, np.dtype(port.d_type).itemsize * port.size) for port in ports]
    channels += [(shape, np.dtype(np.int32).itemsize * count) for shape, count in pipes]
    page = mmap.PAGESIZE
    pages = sum(-(-int(np.prod(shape)) * count // page) + SEMAPHORES_OF_A_CHANNEL for shape, count in channels)
    return int(pages + OTHER_SEMAPHORES) * page


def _holds_spikes(block: Any) -> bool:
    """Whether the block's synapses hold spikes for more than one time step."""
    return hasattr(block, "synapse_rec") or hasattr(getattr(block, "synapse", None), "delays")


def _variables_to_clear(blocks: list[Any], lags: list[int], start: str) -> dict[int, list[Any]]:
    """State variables to set to zero, by the wall step (counted from 1) before which this happens."""
    variables: dict[int, list[Any]] = {}
    for block, lag in zip(blocks, lags):
        synapses = [getattr(block, name) for name in ("synapse", "synapse_rec") if hasattr(block, name)]
        buffers = {name: _buffer(synapse) for name, synapse in zip(("synapse", "synapse_rec"), synapses)}
        neuron = _states(block.neuron)
        if start == "cold":
            variables.setdefault(1, []).extend([*neuron, *buffers.values()])
            continue
        if "synapse" in buffers and _holds_spikes(block):  # it receives the first spike one step before the neuron
            variables.setdefault(lag, []).append(buffers["synapse"])
        recurrent = [buffers["synapse_rec"]] if "synapse_rec" in buffers else []
        variables.setdefault(lag + 1, []).extend([*neuron, *recurrent])
    return variables


def _states(neuron: Any) -> list[Any]:
    return [getattr(neuron, name) for name in STATES.get(type(neuron).__name__, ("u", "v"))]


def _buffer(synapse: Any) -> Any:
    return synapse.a_buff if hasattr(synapse, "a_buff") else synapse.a_buf


def _process_together(blocks: list[Any], samples: int) -> None:
    """Makes dense blocks process several samples at once: messages and states are matrices, one column per sample.

    Lava's sparse synapses multiply their weights by such a message as by a vector, so that all samples share the
    weights; Lava's neurons have states of any shape. The process models are not changed. A binary spike is the message
    1: for binary messages the model would select columns of the weights. Weights are stored by column, which this
    product reads in order.
    """
    for block in blocks:
        synapse, neuron = block.synapse, block.neuron
        for part in (synapse.s_in, synapse.a_out, synapse.a_buff, neuron.a_in, neuron.s_out, neuron.u, neuron.v):
            part.shape = (*part.shape, samples)
        for variable in (neuron.bias_mant, neuron.bias_exp):
            variable.shape = (*variable.shape, samples)
        for variable in (neuron.du, neuron.dv, neuron.bias_mant, neuron.bias_exp):
            if np.ndim(variable.init) == 1 and np.size(variable.init) > 1:
                variable.init = np.asarray(variable.init)[:, None]
        synapse.num_message_bits.init = 1
        synapse.weights.init = synapse.weights.init.tocsc()


def _widen_currents() -> None:
    """Makes a pipe into neurons carry 32 bits, as from synapses; Lava declares 16 bits, in which `a << 6` overflows."""
    from lava.magma.core.model.py.ports import PyInPort
    from lava.magma.core.model.py.type import LavaPyType
    from lava.proc.lif.models import AbstractPyLifModelFixed

    AbstractPyLifModelFixed.a_in = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
