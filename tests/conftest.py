"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes is a benchmark's business: a busy machine must not fail a test (CONTRIBUTING).
settings.register_profile("cpis", deadline=None)
settings.load_profile("cpis")
