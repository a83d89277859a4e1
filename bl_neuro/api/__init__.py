"""The Python door: one function for each thing that the command line does.

    audit, audit_model, load_audit   run an experiment, or audit a model; the findings of an audit that was run
    plan_audit                       what an experiment would run, and how long that takes
    attack_network                   one attack on one network or endpoint, with the target's and an evaluator's answers
    train                            a target network, evaluators and perhaps an ANN twin
    inspect, verify, export          what a model is, whether substrates agree on it, and its file in another format
    compare                          several audits beside each other
    doctor                           which substrates and parts work here

All of them are names of `bl_neuro` itself, which loads them on first use.
"""
