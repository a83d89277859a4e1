"""Audits: trained targets, attacks on them substrate by substrate, and what came of it."""
