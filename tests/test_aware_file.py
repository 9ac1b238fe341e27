"""Files that say what is trained for which chips: what they must not say, and that they need no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from labctl.aware.data import DataTable
from labctl.aware.file import AwareFile, Network, Sweep, read_aware
from labctl.aware.technology import Technology
from labctl.config import build, dump
from labctl.errors import BadConfig

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("aware-*.toml"))


def read(tmp_path: Path, text: str) -> AwareFile:
    path = tmp_path / "file.toml"
    path.write_text(f'name = "x"\n{text}')
    return read_aware(path)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_read_and_kept_as_they_are(path: Path) -> None:
    file = read_aware(path)
    assert build(dump(file), AwareFile, "kept") == file


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_awareness_is_one_line(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert sum(line.startswith("aware = ") for line in lines) == 1


def test_the_networks_of_the_paper_have_their_layers() -> None:
    mnist = DataTable()
    assert [layer[1:] for layer in Network().layers(mnist)] == [(784, 500), (500, 10)]
    sizes = [layer[1:] for layer in Network(kind="cnn").layers(mnist)]
    assert sizes == [(9, 32), (288, 64), (4096, 512), (512, 10)]
    assert Network(kind="cnn").layers(DataTable(set="cifar10", folder="."))[0].inputs == 27


def test_a_sweep_is_every_source_with_every_neuron_in_units_of_on() -> None:
    base = Technology(on=20e3, off=50e3, levels=16)
    found = list(Sweep(source=(0.0, 0.01), neuron=(0.001, 0.1)).technologies(base))
    assert len({(one.source, one.neuron) for one in found}) == 4
    assert {one.source for one in found} == {0.0, 200.0}
    assert {one.neuron for one in found} == {20.0, 2000.0}
    assert {one.levels for one in found} == {16}


def test_the_diagonals_of_a_sweep() -> None:
    found = Sweep(points="diagonals").technologies(Technology(on=1e4))
    assert [(one.source, one.neuron) for one in found] == [(1, 1), (1, 100), (10, 10), (100, 1), (100, 100)]


def test_what_a_sweep_leaves_out_is_as_in_the_technology() -> None:
    base = Technology(variation=0.05, tile=(128, 128))
    for one in Sweep().technologies(base):
        assert (one.variation, one.tile) == (0.05, (128, 128))


def test_sigma_and_arrays_are_varied_alone_around_the_technology() -> None:
    base = Technology(source=30.0, neuron=40.0, variation=0.05)
    sweep = Sweep(source=(0.0,), neuron=(0.0,), variation=(0.0, 0.2), tiles=((64, 64), (32, 8)))
    first, *alone = sweep.technologies(base)
    assert (first.source, first.neuron, first.variation, first.tile) == (0.0, 0.0, 0.05, None)
    assert all((one.source, one.neuron) == (30.0, 40.0) for one in alone)
    assert [(one.variation, one.tile) for one in alone] == [
        (0.0, None),
        (0.2, None),
        (0.05, (64, 64)),
        (0.05, (32, 8)),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[training]\naware = "both"', "aware.*allowed.*noise"),
        ("[training]\nbatch = 0", "batch"),
        ("[training]\nrate = nan", "rate"),
        ("[training]\nrate = 0.0", "rate"),
        ("[training]\nspeed = 1", "speed"),
        ('[technology]\non = "-1 ohm"', "on"),
        ("[technology]\nsource = nan", "source"),
        ('[technology]\nneuron = "-1 ohm"', "neuron"),
        ('[technology]\nvariation = "120 %"', "variation"),
        ('[data]\nset = "letters"', "set"),
        ("[sweep]\nsource = []", "source is empty"),
        ("[sweep]\nneuron = [0.1, 0.1]", "twice"),
        ("[sweep]\nneuron = [-0.1]", "neuron"),
        ('[sweep]\nsource = [0.1]\npoints = "diagonals"', "as many source as neuron"),
        ("[sweep]\ntiles = [[64, 1]]", "one column holds no weight"),
        ('[network]\nkind = "cnn"\nside = 30', "multiple of 4"),
        ("[network]\nside = 28\nchannels = [8, 16]", "channels and side with kind = 'fcn'"),
        ('[network]\nkind = "cnn"\nside = 24', "28 or an even number more"),
        ("[network]\nhidden = [0]", "hidden"),
        ("[network]\nhidden = [20000, 20000]", "4.2e.08 weights.*allowed: 8e.07"),
        ('[network]\nkind = "cnn"\nside = 4000', "weights"),
        ('[data]\nset = "digits"\nfolder = "data"', "scikit-learn"),
        ("[technology]\noutput_noise = -0.1", "output_noise"),
        ("[technology]\ntile = [64]", r"tile\[1\]: missing; allowed: a longer array"),
        ("[training]\nexact = 1", "exact"),
        (
            "[network]\narray = [784, 999]",
            "layer 1 needs 784 x 1000 devices(.|\n)*784 x 999(.|\n)*technology.tile",
        ),
        ("[network]\narray = [783, 1000]", "layer 1 needs 784 x 1000"),
        ("[network]\narray = [64, 64]\n[technology]\ntile = [128, 64]", "larger than network.array"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BadConfig, match=told):
        read(tmp_path, text)


def test_an_array_that_is_large_enough_or_layers_that_are_cut(tmp_path: Path) -> None:
    assert read(tmp_path, "[network]\narray = [784, 1000]")
    assert read(tmp_path, '[network]\narray = [784, 501]\n[technology]\nweights = "reference"')
    assert read(tmp_path, "[network]\narray = [128, 128]\n[technology]\ntile = [128, 64]")


def test_a_file_is_checked_without_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from labctl.aware import data, file;"
        f" file.read_aware(Path({str(EXAMPLES[0])!r})); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
