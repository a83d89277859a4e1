"""Contract suites, which every backend and every attack must pass, and doubles for tests. The suites need pytest."""
