"""The emulated DWF library: pydwf's own names, an Analog Discovery's habits, and devices behind it."""

import inspect
import time

import numpy as np
import pydwf
import pytest
from pydwf import (
    DwfAcquisitionMode,
    DwfAnalogOutFunction,
    DwfAnalogOutIdle,
    DwfAnalogOutNode,
    DwfDeviceParameter,
    DwfLibraryError,
    DwfState,
    DwfTriggerSource,
)

from labctl.errors import BadConfig
from sim_backend.emulators import dwf
from sim_backend.emulators.discovery import generator as dwf_generator
from sim_backend.emulators.discovery import scope as dwf_scope
from sim_backend.emulators.discovery import statics as dwf_statics
from sim_backend.emulators.discovery.device import AnalogDiscovery
from sim_backend.emulators.discovery.settings import DiscoverySettings
from sim_backend.emulators.dwf import USB, EmulatedDwf, EmulatedDwfDevice
from sim_backend.emulators.serving.witness import Witness

PAIRS = [
    (dwf.EmulatedDwf, pydwf.DwfLibrary, {"sleep"}),
    (dwf.EmulatedDeviceEnumeration, pydwf.DeviceEnumeration, {"at"}),
    (dwf.EmulatedDeviceControl, pydwf.DeviceControl, set()),
    (dwf.EmulatedDwfDevice, pydwf.DwfDevice, set()),
    (dwf_generator.EmulatedAnalogOut, pydwf.AnalogOut, {"meet", "applied", "apply"}),
    (dwf_scope.EmulatedAnalogIn, pydwf.AnalogIn, {"meet", "applied", "apply"}),
    (dwf_statics.EmulatedAnalogIO, pydwf.AnalogIO, {"meet", "applied", "apply"}),
    (dwf_statics.EmulatedDigitalIO, pydwf.DigitalIO, {"meet", "applied", "apply"}),
]
CARRIER = DwfAnalogOutNode.Carrier


@pytest.fixture(autouse=True)
def _nothing_is_plugged_in() -> None:
    USB.clear()


def parameters(method):
    """Names, kinds and defaults of what a method takes."""
    return [(p.name, p.kind, p.default) for p in inspect.signature(method).parameters.values()]


@pytest.mark.parametrize(("ours", "theirs", "own"), PAIRS, ids=lambda one: getattr(one, "__name__", ""))
def test_every_method_is_pydwfs_own_by_name_and_by_arguments(ours: type, theirs: type, own: set[str]) -> None:
    names = {name for name, _ in inspect.getmembers(ours, inspect.isfunction) if not name.startswith("_")}
    assert {name for name in names if not hasattr(theirs, name)} == own
    for name in names - own:
        assert parameters(getattr(ours, name)) == parameters(getattr(theirs, name)), name
    assert names - own


def test_attributes_are_where_pydwf_has_them() -> None:
    library, device = opened("names")
    with device:
        for name in ("analogIn", "analogOut", "analogIO", "digitalIO", "dwf"):
            assert f"self.{name} =" in inspect.getsource(pydwf.DwfDevice) or hasattr(pydwf.DwfDevice, name)
            assert hasattr(device, name)
    source = inspect.getsource(pydwf.DwfLibrary)
    assert all(f"self.{name} =" in source for name in ("deviceEnum", "deviceControl"))
    assert library.deviceEnum
    assert library.deviceControl


# ---- a program's own way through the calls -----------------------------------------------------


def opened(serial: str, **options) -> tuple[EmulatedDwf, EmulatedDwfDevice]:
    """A library and its device of this serial number."""
    library = EmulatedDwf(serial=serial, **options)
    serials = [library.deviceEnum.serialNumber(i) for i in range(library.deviceEnum.enumerateDevices())]
    return library, library.deviceControl.open(serials.index(f"SN:{serial}"))


def powered(device: EmulatedDwfDevice, bits: int = 0) -> None:
    """Rails on, these switches closed."""
    device.autoConfigureSet(0)
    for channel, volts in ((0, 5.0), (1, -5.0)):
        device.analogIO.channelNodeSet(channel, 0, 1.0)
        device.analogIO.channelNodeSet(channel, 1, volts)
    device.analogIO.enableSet(True)
    device.analogIO.configure()
    device.digitalIO.outputEnableSet(0xFFFF)
    device.digitalIO.outputSet(bits)
    device.digitalIO.configure()


def armed(device: EmulatedDwfDevice, seconds: float, samples: int = 4000, volts: float = 5.0) -> None:
    """A scope that waits for W1."""
    scope, hertz = device.analogIn, 100e6 / np.ceil(seconds * 100e6 / samples)
    scope.frequencySet(hertz)
    scope.bufferSizeSet(samples)
    scope.triggerPositionSet(samples / 2 / hertz)
    for channel in (0, 1):
        scope.channelRangeSet(channel, volts)
    scope.acquisitionModeSet(DwfAcquisitionMode.Single)
    scope.triggerSourceSet(DwfTriggerSource.AnalogOut1)
    scope.configure(True, True)


def fired(device: EmulatedDwfDevice, volts: float, seconds: float) -> list[np.ndarray]:
    """A square on W1, and what both channels saw."""
    out = device.analogOut
    table = np.zeros(4096)
    table[41:-41] = volts / 5
    out.nodeFunctionSet(0, CARRIER, DwfAnalogOutFunction.Custom)
    out.nodeFrequencySet(0, CARRIER, 1 / seconds)
    out.nodeAmplitudeSet(0, CARRIER, 5.0)
    out.nodeDataSet(0, CARRIER, table)
    out.idleSet(0, DwfAnalogOutIdle.Offset)
    out.runSet(0, seconds)
    out.repeatSet(0, 1)
    out.nodeEnableSet(0, CARRIER, 1)
    out.configure(0, 1)
    if device.analogIn.status(True) is not DwfState.Done:
        return []
    return [device.analogIn.statusData(channel, 4000) for channel in (0, 1)]


CLEAN = {"noise": "0 V", "offsets": ("0 V", "0 V", "0 V"), "gains": (1.0, 1.0, 1.0)}


def test_a_pulse_is_divided_between_resistor_and_memristor() -> None:
    _, device = opened("divider", **CLEAN, dopant="W")
    with device:
        powered(device, 1 << 4)
        armed(device, 100e-6)
        node, source = fired(device, -0.1, 100e-6)
        chip = device.hardware.board.rows[0]
    assert source[2000] == pytest.approx(-0.1, abs=3.1e-4)
    ohms = 1 / (1 / (1 / 71.1e-6 + 75) + 1e-6)  # W as it comes, its switch, and the scope beside them
    assert node[2000] == pytest.approx(-0.1 * ohms / (ohms + 10e3), rel=0.01)
    assert chip.states()[4] > chip.states()[3]  # a negative W1 raises, on V2, and one device alone


def test_the_node_charges_as_the_equation_says() -> None:
    _, device = opened("charging", **CLEAN, dopant="Sn", series="100 kohm")
    with device:
        powered(device, 1)
        armed(device, 200e-6)
        node, source = fired(device, -0.1, 200e-6)
    siemens, step, volts = 18.57e-6 / (1 + 75 * 18.57e-6), 50e-9, 0.0
    found = []
    for level in source:  # Euler's method, a tenth of a per cent of the time constant a step
        found.append(volts)
        for _ in range(5):
            volts += step / 5 / 180e-12 * ((level - volts) / 100e3 - volts * (siemens + 1e-6))
    assert np.abs(node - found).max() < 6e-4  # two steps of the scope


def test_switches_need_both_rails() -> None:
    _, device = opened("rails", **CLEAN)
    with device:
        powered(device, 0xFFFF)
        device.analogIO.channelNodeSet(1, 1, -3.0)
        device.analogIO.configure()
        armed(device, 100e-6)
        before = device.hardware.board.states()
        node, source = fired(device, -2.0, 100e-6)
        assert np.array_equal(device.hardware.board.states(), before)
    assert node[2000] == pytest.approx(source[2000] / 1.01, abs=1e-3)  # the scope's load alone


def test_channels_are_off_by_their_offsets_gains_noise_and_steps() -> None:
    _, device = opened("errors", offsets=("10 mV", "-40 mV", "-20 mV"), gains=(1.01, 0.99, 1.0))
    with device:
        powered(device)
        armed(device, 100e-6)
        node, source = fired(device, 1.0, 100e-6)
    top = slice(1000, 3000)
    assert source[top].mean() == pytest.approx(-0.04 + 0.99 * 0.98, abs=1e-3)
    assert node[top].mean() == pytest.approx(0.01 + 1.01 * 0.98 / 1.01, abs=1e-3)
    assert 0.2e-3 < source[top].std() < 0.5e-3
    assert np.allclose(source / (5 / 2**14), np.round(source / (5 / 2**14)), atol=1e-6)


def test_a_channel_clips_at_the_end_of_its_range() -> None:
    _, device = opened("clipping", **CLEAN)
    with device:
        powered(device)
        armed(device, 100e-6)
        assert fired(device, 4.0, 100e-6)[1].max() == pytest.approx(2.5, abs=1e-3)
        armed(device, 100e-6, volts=50.0)
        assert fired(device, 4.0, 100e-6)[1].max() == pytest.approx(4.0, abs=5e-3)


def test_a_scope_that_waits_for_nothing_sees_nothing_and_the_devices_see_all() -> None:
    _, device = opened("unarmed")
    with device:
        powered(device, 1)
        before = device.hardware.board.states()
        assert fired(device, -2.0, 1e-3) == []
        after = device.hardware.board.states()
        with pytest.raises(DwfLibraryError, match="fetched"):
            device.analogIn.statusData(0, 16)
    assert after[0] > before[0]
    assert np.array_equal(after[1:], before[1:])


@pytest.mark.parametrize(
    "call",
    [
        lambda d: d.analogIn.bufferSizeSet(8193),
        lambda d: d.analogIn.frequencySet(200e6),
        lambda d: d.analogOut.nodeDataSet(0, CARRIER, np.zeros(4097)),
        lambda d: d.analogOut.nodeDataSet(0, CARRIER, np.full(16, 1.01)),
        lambda d: d.analogOut.nodeDataSet(0, CARRIER, np.full(16, np.nan)),
        lambda d: d.analogOut.nodeAmplitudeSet(0, CARRIER, 5.1),
        lambda d: d.analogOut.nodeOffsetSet(2, CARRIER, 0.0),
        lambda d: d.analogOut.nodeFunctionSet(0, CARRIER, DwfAnalogOutFunction.Noise),
        lambda d: d.analogOut.runSet(0, -1.0),
        lambda d: d.analogIO.channelNodeSet(0, 1, 5.1),
        lambda d: d.analogIO.channelNodeSet(1, 1, 1.0),
        lambda d: d.digitalIO.outputSet(1 << 16),
    ],
)
def test_what_the_manual_does_not_allow_is_refused(call) -> None:
    _, device = opened("strict")
    with device, pytest.raises(DwfLibraryError):
        call(device)


def test_settings_reach_the_device_when_they_are_configured() -> None:
    _, device = opened("staged")
    with device:
        device.autoConfigureSet(0)
        device.digitalIO.outputEnableSet(0xFF)
        device.digitalIO.outputSet(0x0F)
        assert device.digitalIO.outputGet() == 0x0F
        assert device.hardware.pin_levels() == 0
        device.digitalIO.configure()
        device.digitalIO.status()
        assert device.digitalIO.inputStatus() == 0x0F
        device.autoConfigureSet(1)
        device.digitalIO.outputSet(0xF0)
        assert device.hardware.pin_levels() == 0xF0


@pytest.mark.parametrize(("on_close", "rails"), [(2, (0.0, 0.0)), (1, (5.0, -5.0))])
def test_on_close_says_what_stays_on(on_close: int, rails: tuple[float, float]) -> None:
    _, device = opened(f"closing{on_close}")
    powered(device)
    device.paramSet(DwfDeviceParameter.OnClose, on_close)
    device.close()
    assert device.hardware.rails == rails
    with pytest.raises(DwfLibraryError, match="not open"):
        device.digitalIO.status()


def test_one_device_one_handle_and_devices_keep_their_state() -> None:
    library, device = opened("handles", **CLEAN)
    index = list(USB).index("handles")
    with pytest.raises(DwfLibraryError, match="another process"):
        library.deviceControl.open(index)
    powered(device, 1)
    fired(device, -2.0, 1e-3)
    moved = device.hardware.board.states()
    library.deviceControl.closeAll()
    _, again = opened("handles", **CLEAN)
    with again:
        assert np.array_equal(again.hardware.board.states(), moved)


def test_several_are_told_apart_by_serial_number() -> None:
    (_, one), (_, other) = opened("left", dopant="W"), opened("right", dopant="Cr")
    with one, other:
        assert one.hardware.settings.dopant == "W"
        assert other.hardware.settings.dopant == "Cr"
        assert one.dwf.deviceEnum.deviceIsOpened(list(USB).index("left"))


def test_hooks_make_calls_fail_hang_and_go_missing() -> None:
    _, device = opened("hooks")
    faults = device.hardware.faults
    faults.fail["digitalIO.status"] = "no"
    with pytest.raises(DwfLibraryError, match="no"):
        device.digitalIO.status()
    faults.fail.clear()
    faults.ignored.add("digitalIO.outputSet")
    device.digitalIO.outputSet(5)
    assert device.digitalIO.outputGet() == 0
    faults.hang_at, faults.hang_seconds = device.hardware.calls + 1, 0.05
    begun = time.monotonic()
    device.digitalIO.status()
    assert time.monotonic() - begun >= 0.05
    faults.gone_at = device.hardware.calls + 1
    for _ in range(2):
        with pytest.raises(DwfLibraryError, match="disconnected"):
            device.digitalIO.status()
    serials = [one.settings.serial for one in USB.values() if not one.gone]
    assert "hooks" not in serials


def test_a_witness_sees_w1_drive(tmp_path) -> None:
    place = tmp_path / "w1"
    library, device = opened("seen", witness=str(place), real_time=True)
    with Witness.of(place) as witness, device:
        powered(device)
        armed(device, 20e-3)
        assert fired(device, 1.0, 20e-3) == []  # not over yet
        assert witness.look().level == pytest.approx(1.0)
        assert device.analogIn.status(True) is DwfState.Triggered
        library.sleep(25e-3)
        assert device.analogIn.status(True) is DwfState.Done
        assert witness.look().live == 0


def test_a_board_that_knowm_never_made_is_refused() -> None:
    with pytest.raises(BadConfig, match="mode 2 of a v1 board"):
        AnalogDiscovery(DiscoverySettings(board="v1", mode=2))
