"""Contract suites, which every backend, attack, evaluator and mitigation must pass, and doubles for tests.

`backend_contract`, `attack_contract`, `evaluator_contract` and `mitigation_contract` are the suites, and need pytest;
subclass one and name what is tested.
`random_networks` and `reference_target` make things to test with; `fixed_point` (Loihi's integers) and `gradients`
(autograd on the unrolled network) are oracles beside `bl_neuro.reference`.
"""
