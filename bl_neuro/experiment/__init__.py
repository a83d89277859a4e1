"""Audits: trains targets, attacks them on each substrate, and computes findings."""
