"""One netx network, running in Lava, with pipes into it and out of it. Part of the child: no bl_neuro here.

A wall step is a step of the simulation. Layer l answers input step t at wall step t + lag: one for each synapse on the
way, none for input neurons. A sample takes T + lag of the last layer wall steps.

Between samples the network is made as new in one of two ways. Where it can, Lava resets its neurons by itself, each
layer when the first input of the next sample reaches it (`LIFReset`). Synapses with delays and recurrent synapses hold
spikes that such a reset does not touch, and a cold start needs all layers reset at once: there the simulation pauses
and the states are set to zero from outside.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
import traceback
import types
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np


def import_netx() -> Any:
    """lava-dl's netx, without PyTorch, SLAYER and pandas, which take most of a start.

    netx 0.6.0 imports the first two for resonate-and-fire neurons and for its PyTorch pipelines; a network of ours has
    neither. The graphs that Lava's compiler makes look for pandas, and do without it where it is not there.
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
    """Imports ahead of time what a simulation will need, which is most of a start."""
    import_netx()
    models = [f"lava.proc.{kind}.models" for kind in ("lif", "sparse", "dense")]
    for name in ("lava.magma.compiler.compiler", *models):
        with contextlib.suppress(ImportError):  # where another version keeps it elsewhere
            importlib.import_module(name)


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


def opened(header: dict[str, Any], failed: Any) -> tuple[Simulation, list[int]]:
    """The simulation that `header` asks for, and its process ids. `failed()` where one is killed while they start."""
    actors: list[Any] = []
    ready = threading.Event()
    netx = import_netx()
    follow_actors(actors)
    threading.Thread(target=_watch_the_start, args=(actors, ready, failed), daemon=True).start()
    try:
        simulation = Simulation(
            netx, header["net"], header["steps"], header["layers"], header["sparse"], header["start"]
        )
    finally:
        ready.set()
    return simulation, [actor.pid for actor in actors]


def _watch_the_start(actors: list[Any], ready: threading.Event, failed: Any) -> None:
    """Lava would wait for ever for one of its processes that is killed while they start."""
    while not ready.wait(0.1):
        if not all(actor.is_alive() for actor in list(actors)) and not ready.wait(1.0):  # or Lava tells of an error
            failed()


class Simulation:
    """A running network. steps: T. layers: record them all. sparse: netx's `sparse_fc_layer`. start: see the module."""

    def __init__(self, netx: Any, net: str, steps: int, layers: bool, sparse: bool, start: str) -> None:
        from lava.magma.core.run_configs import Loihi2SimCfg

        make = partial(netx.hdf5.Network, net_config=net, sparse_fc_layer=sparse)
        self.network = make()
        self.current = not hasattr(self.network.layers[0], "synapse")
        self.lags = [index + (not self.current) for index in range(len(self.network.layers))]
        self.steps = steps
        self.period = steps + self.lags[-1]
        resets_itself = start == "aligned" and not any(map(_holds_spikes, self.network.layers))
        if resets_itself:
            self.network = make(reset_interval=self.period, reset_offset=0 if self.current else 1)
        self.blocks = self.network.layers
        if sparse:
            _multiply_messages(self.blocks)
        self.clears = {} if resets_itself else _what_to_clear(self.blocks, self.lags, start)
        self.fresh = True
        recorded = range(len(self.blocks)) if layers else [len(self.blocks) - 1]
        self.outputs = [(self.blocks[index].neuron.s_out, self.lags[index]) for index in recorded]
        if self.current:
            _widen_currents()
            self.inputs = self.blocks[0].neuron.a_in
        else:
            self.inputs = self.blocks[0].synapse.s_in
        for port in (self.inputs, *(port for port, _ in self.outputs)):
            port.flag_external_pipe(buffer_size=self.period + 1)
        self.network.create_runtime(run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))

    @property
    def input_dtype(self) -> Any:
        """Of the frames it takes: spikes as bytes, currents with 32 bits."""
        return np.int32 if self.current else np.uint8

    def run(self, sample: Any, states: bool) -> tuple[list[Any], list[Any]]:
        """Spikes (T, *shape) of every recorded layer for one sample (T, *input shape), delays removed; u, v, u, v..."""
        send = self.inputs.external_pipe_csp_send_port.send
        nothing = np.zeros(self.inputs.shape, sample.dtype)
        for step in range(self.period):
            send(sample[step] if step < self.steps else nothing)
        found = self._advance(states)
        answers = []
        for port, lag in self.outputs:
            frames = [port.external_pipe_csp_recv_port.recv() for _ in range(self.period)]
            answers.append(np.stack(frames[lag : lag + self.steps]).astype(np.uint8))
        return answers, found

    def _advance(self, states: bool) -> list[Any]:
        """Runs one sample's wall steps, with pauses where states are cleared or read; the states, if asked for."""
        reads = {self.steps + lag: block.neuron for block, lag in zip(self.blocks, self.lags)} if states else {}
        clears = {step - 1: variables for step, variables in self.clears.items()}
        found: list[Any] = []
        done = 0
        for pause in sorted({*reads, *clears, self.period}):
            self._run_steps(pause - done)
            done = pause
            if pause in reads:
                found += [np.asarray(state.get(), np.int32) for state in (reads[pause].u, reads[pause].v)]
            if pause > 0 or not self.fresh:  # Lava holds no states before its first step
                for variable in clears.get(pause, ()):
                    variable.set(np.zeros(variable.shape, np.int32))
        return found

    def _run_steps(self, count: int) -> None:
        from lava.magma.core.run_conditions import RunSteps

        if count > 0:
            self.network.run(condition=RunSteps(num_steps=count))
            self.fresh = False


def _holds_spikes(block: Any) -> bool:
    """Whether its synapses hold spikes for longer than the one step to the next."""
    return hasattr(block, "synapse_rec") or hasattr(getattr(block, "synapse", None), "delays")


def _what_to_clear(blocks: list[Any], lags: list[int], start: str) -> dict[int, list[Any]]:
    """States by the wall step of a sample, counted from 1, before which they are set to zero."""
    found: dict[int, list[Any]] = {}
    for block, lag in zip(blocks, lags):
        synapses = [getattr(block, name) for name in ("synapse", "synapse_rec") if hasattr(block, name)]
        buffers = {name: _buffer(synapse) for name, synapse in zip(("synapse", "synapse_rec"), synapses)}
        neuron = [block.neuron.u, block.neuron.v]
        if start == "cold":
            found.setdefault(1, []).extend([*neuron, *buffers.values()])
            continue
        if "synapse" in buffers and _holds_spikes(block):  # it takes up the first spike one step before the neuron
            found.setdefault(lag, []).append(buffers["synapse"])
        found.setdefault(lag + 1, []).extend([*neuron, *(buffers[name] for name in buffers if name == "synapse_rec")])
    return found


def _buffer(synapse: Any) -> Any:
    return synapse.a_buff if hasattr(synapse, "a_buff") else synapse.a_buf


def _multiply_messages(blocks: list[Any]) -> None:
    """Has sparse synapses multiply by their messages, as for graded spikes: a spike is the message 1.

    For binary spikes Lava's own model cuts the matrix down to the columns that spiked, which takes three times as long
    as the product with all of it.
    """
    for block in blocks:
        if hasattr(block, "synapse"):
            block.synapse.num_message_bits.init = 1


def _widen_currents() -> None:
    """Has a pipe into neurons carry 32 bits, as their synapses do: Lava declares 16, in which `a << 6` overflows."""
    from lava.magma.core.model.py.ports import PyInPort
    from lava.magma.core.model.py.type import LavaPyType
    from lava.proc.lif.models import AbstractPyLifModelFixed

    AbstractPyLifModelFixed.a_in = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
