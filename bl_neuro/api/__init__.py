"""The Python API: one function for each command of the command line.

    audit, audit_model, load_audit   run an experiment, audit a model, load a finished audit
    plan_audit, plan_audit_model     list what an audit would run, and how long it takes
    attack_network                   run one attack on one network or endpoint
    attack_membership, train_shadows find out which samples a model was trained on, with shadow networks
    train                            train a target network, evaluators and an ANN twin
    inspect, verify, export          describe a model, compare it on several substrates, convert its file
    compare                          compare several audits
    doctor                           check which substrates and other parts work on this machine

All of them can be imported from `bl_neuro`, which loads them on first use.
"""
