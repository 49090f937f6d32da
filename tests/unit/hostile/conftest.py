"""How many examples: the same 500 each time, or with --hypothesis-profile=long 20,000 new ones."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "short",
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
settings.register_profile("long", parent=settings.get_profile("short"), derandomize=False)
# An option on the command line is looked at after this.
settings.load_profile("short")
