"""Bringing one's own model: modules of snnTorch, Norse and SLAYER, state dicts, and NIR files in and out.

Every converter states which neuron it maps and refuses what it cannot map exactly, naming the layer and the reason.
Converted modules are by default run against the network made of them, bin by bin (`bl_neuro.interop.checked`).
"""
