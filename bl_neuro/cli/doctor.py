"""`bl-neuro doctor`."""

from __future__ import annotations

from bl_neuro.cli.options import Json, app


@app.command()
def doctor(as_json: Json = False) -> int:
    """Test every substrate and list all installed parts. The exit code is 1 if a part is broken."""
    import gc
    from dataclasses import asdict

    active = gc.isenabled()
    gc.disable()  # importing PyTorch takes a fifth longer with the garbage collector
    try:
        from bl_neuro.api.doctor import doctor as run
        from bl_neuro.cli.output import print_json, print_parts
    finally:
        if active:
            gc.enable()
    report = run()
    if as_json:
        facts = asdict(report)
        parts = facts.pop("parts")
        print_json({**facts, **parts})
    else:
        print_parts(report.text_parts())
    return int(report.broken)
