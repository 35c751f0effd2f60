"""What tests of more than one folder share."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = ["localcluster.fixtures", "localpostgres.fixtures"]

# A busy machine is no failure. Where `CI` is set Hypothesis takes the profile `ci`, which draws the same
# examples every time; elsewhere they are new ones. `--hypothesis-profile=thorough` is for the one who looks
# for what is rare.
settings.register_profile(
    "ci",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "thorough", max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
