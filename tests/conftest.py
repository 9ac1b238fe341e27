"""What every test stands on: laws that explain themselves when broken, and the same examples each time."""

import signal
from itertools import count

import hypothesis
import pytest

pytest.register_assert_rewrite("labctl.contract")  # or a broken law says only `AssertionError`

# Found examples do not depend on luck or on yesterday, and no test is judged by the clock.
hypothesis.settings.register_profile("house", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("house")

# Programs that tests start hear Ctrl-C, also where a shell set it aside for all that it started.
signal.signal(signal.SIGINT, signal.default_int_handler)

_TESTS = count()


@pytest.fixture(autouse=True)
def _nobody_has_agreed_to_anything(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the person who runs the tests has agreed to is theirs, and what a test agrees to ends with it.

    Nor does a test meet the instruments that other tests, or other programs on this machine, hold.
    """
    here = tmp_path_factory.getbasetemp()
    number = next(_TESTS)
    monkeypatch.setenv("LABCTL_STATE", str(here / f"state-{number}"))
    monkeypatch.setenv("LABCTL_SHARED", str(here / f"shared-{number}"))
