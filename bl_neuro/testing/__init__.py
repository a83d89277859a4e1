"""Contract suites, which every backend and every attack must pass, and doubles for tests.

`backend_contract` and `attack_contract` are the suites, and need pytest; subclass, name what is tested, done.
`random_networks` and `reference_target` make things to test with; `fixed_point` (Loihi's integers) and `gradients`
(autograd on the unrolled network) are oracles beside `bl_neuro.reference`.
"""
