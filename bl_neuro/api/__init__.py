"""The Python door: one function for each thing that the command line does.

attack_network    one attack on one network or endpoint; its inversions, and what the target and an evaluator make of it
"""
