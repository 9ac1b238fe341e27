"""What every test stands on: laws that explain themselves when broken, and the same examples each time."""

import hypothesis
import pytest

pytest.register_assert_rewrite("labctl.contract")  # or a broken law says only `AssertionError`

# Found examples do not depend on luck or on yesterday, and no test is judged by the clock.
hypothesis.settings.register_profile("house", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("house")
