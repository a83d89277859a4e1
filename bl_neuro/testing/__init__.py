"""Contract suites that every backend, attack, evaluator and mitigation must pass, and other tools for tests.

The suites are `backend_contract`, `attack_contract`, `evaluator_contract` and `mitigation_contract`. They need pytest;
subclass one and set the tested class. `random_networks` and `reference_target` create networks and targets for tests.
`fixed_point` (Loihi's integers) and `gradients` (autograd on the unrolled network) are reference implementations, like
`bl_neuro.reference`.
"""
