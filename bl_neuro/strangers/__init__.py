"""Reading files that other people made: every size is bounded, and nothing in them is executed."""
