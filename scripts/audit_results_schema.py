#!/usr/bin/env python3
"""Compares the published JSON Schema of an audit's results.json with its models; --write brings it up to date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import bl_neuro.experiment.findings
from bl_neuro.experiment.findings.models import SCHEMA, json_schema
from bl_neuro.files import write_text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the schema instead of comparing")
    path = Path(bl_neuro.experiment.findings.__file__).with_name(SCHEMA)
    if parser.parse_args().write:
        write_text(path, json_schema())
        return 0
    same = path.read_text(encoding="utf-8") == json_schema()
    print(f"{path.name}: {'matches the models' if same else 'out of date, run with --write'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
