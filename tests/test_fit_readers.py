"""Files as people and instruments write them: what is forgiven, and what is refused with which words."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from labctl.errors import BadData
from labctl.fit import programming
from labctl.fit.columns import Units
from labctl.fit.excerpts import excerpt
from labctl.fit.readers import Telling, read
from labctl.fit.recording import Recording
from tests.recordings import SERIES, loop, table, written

TOLD = Telling(series_ohms=SERIES)


def one(path: Path, telling: Telling = TOLD) -> Recording:
    """The one recording of a file."""
    (recording,) = read(path, telling)
    return recording


@pytest.mark.parametrize(
    ("header", "scales"),
    [
        ("t [s],V [V],I [A]", (1, 1, 1)),
        ("time (ms), voltage (V), current (uA)", (1e3, 1, 1e6)),
        ("Time/s,V(V),I(mA)", (1, 1, 1e3)),
        ("t_s,v_V,i_A", (1, 1, 1)),
        ("time, V_source [mV], current [µA]", (1, 1e3, 1e6)),
        ("", (1, 1, 1)),
    ],
)
def test_headers_name_columns_and_units(tmp_path: Path, header: str, scales: tuple[float, ...]) -> None:
    data = loop()
    path = written(tmp_path / "a.csv", table(header, *(c * k for c, k in zip(data, scales, strict=True))))
    found = one(path)
    for mine, true in zip((found.seconds, found.volts, found.amps), data, strict=True):
        assert mine == pytest.approx(true, rel=1e-7, abs=1e-12)


def test_columns_may_stand_in_any_order_if_they_have_names(tmp_path: Path) -> None:
    t, v, i = loop()
    found = one(written(tmp_path / "a.csv", table("I [A],t [s],note,V [V]", i, t, t * 0, v)))
    assert found.volts == pytest.approx(v, abs=1e-8)
    assert found.amps == pytest.approx(i, abs=1e-12)


@pytest.mark.parametrize(
    ("separator", "comma"), [("\t", False), (";", False), (";", True), ("\t", True), ("  ", False)]
)
def test_separators_and_decimal_commas(tmp_path: Path, separator: str, comma: bool) -> None:
    data = loop()
    text = table(separator.join(["t", "V", "I"]), *data, separator=separator, comma=comma)
    assert one(written(tmp_path / "a.txt", text)).amps == pytest.approx(data[2], abs=1e-12)


def test_commas_that_part_columns_and_decimals_are_refused(tmp_path: Path) -> None:
    text = table("", *loop(), comma=True).replace(";", ",")
    with pytest.raises(BadData, match="can be read in two ways") as refusal:
        one(written(tmp_path / "a.csv", text))
    assert "semicolons between columns" in refusal.value.todo


def test_byte_order_mark_comments_units_row_and_gzip(tmp_path: Path) -> None:
    data = loop()
    text = "\ufeff# my device\n% again\n\nt,V,I\ns,V,mA\n" + table("", data[0], data[1], data[2] * 1e3)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(text.encode("utf-8")))
    assert one(path).amps == pytest.approx(data[2], abs=1e-11)


def test_the_fingerprint_is_that_of_the_numbers(tmp_path: Path) -> None:
    data = loop()
    first = one(written(tmp_path / "a.csv", table("t,V,I", *data)))
    second = one(written(tmp_path / "b.txt", table("t;V;I", *data, separator=";", comma=True)))
    other = one(written(tmp_path / "c.csv", table("t,V,I", data[0], data[1], data[2] * 1.001)))
    assert first.fingerprint == second.fingerprint != other.fingerprint


def test_two_columns_need_a_period_or_a_step(tmp_path: Path) -> None:
    t, v, i = loop(hertz=10.0, cycles=3)
    path = written(tmp_path / "a.csv", table("V [V],I [A]", v, i))
    with pytest.raises(BadData, match="no column of time"):
        one(path)
    by_period = one(path, Telling(SERIES, period=0.1))
    by_step = one(path, Telling(SERIES, step=0.1 / 200))
    assert by_period.seconds == pytest.approx(t, rel=1e-6)
    assert by_step.seconds == pytest.approx(t, rel=1e-6)


def test_device_volts_get_the_drop_over_the_resistor_back(tmp_path: Path) -> None:
    t, v, i = loop()
    path = written(tmp_path / "a.csv", table("t [s],V_device [V],I [A]", t, v - i * SERIES, i))
    assert one(path).volts == pytest.approx(v, abs=1e-7)
    path = written(tmp_path / "b.csv", table("t,V,I", t, v - i * SERIES, i))
    assert one(path, Telling(SERIES, across_device=True)).volts == pytest.approx(v, abs=1e-7)


def test_the_calibration_format_has_its_resistor_in_its_name(tmp_path: Path) -> None:
    t, v, i = loop()
    path = written(tmp_path / "W_1V_10Hz_Rs5110.csv", table("t_s,v_source_V,v_resistor_V", t, v, i * SERIES))
    found = one(path, Telling())
    assert found.series_ohms == SERIES
    assert found.amps == pytest.approx(i, abs=1e-11)
    with pytest.raises(BadData, match="a resistor of unknown resistance"):
        one(path.rename(tmp_path / "W.csv"), Telling())


def test_memristor_discovery_captures_and_charts(tmp_path: Path) -> None:
    t, v, i = loop()
    folder = tmp_path / "capture"
    folder.mkdir()
    written(folder / "V1.csv", table("", t, v))
    written(folder / "V2.csv", table("", t, i * SERIES))
    assert one(folder).amps == pytest.approx(i, abs=1e-11)
    assert one(folder / "V2.csv").volts == pytest.approx(v, abs=1e-8)
    chart = written(tmp_path / "iv.csv", table("", v - i * SERIES, i * 1e6))
    found = one(chart, Telling(SERIES, period=0.1))
    assert found.amps == pytest.approx(i, abs=1e-11)
    assert found.volts == pytest.approx(v, abs=1e-7)


def test_captures_of_the_dc_app_are_in_microseconds(tmp_path: Path) -> None:
    t, v, i = loop()
    written(tmp_path / "V1.csv", table("", t * 1e6, v))
    written(tmp_path / "V2.csv", table("", t * 1e6, i * SERIES))
    assert one(tmp_path).seconds == pytest.approx(t, rel=1e-6)


def test_a_folder_is_all_its_files(tmp_path: Path) -> None:
    for name in ("b", "a"):
        written(tmp_path / f"{name}.csv", table("t,V,I", *loop()))
    assert [found.name for found in read(tmp_path, TOLD)] == ["a", "b"]


# ---- bad input ----------------------------------------------------------------------------------


def test_empty_files(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="is empty"):
        one(written(tmp_path / "a.csv", ""))
    with pytest.raises(BadData, match="is empty"):
        one(written(tmp_path / "b.csv", "# nothing\n\n"))
    with pytest.raises(BadData, match='no row of numbers; it begins "t,V,I"'):
        one(written(tmp_path / "c.csv", "t,V,I\n"))
    (tmp_path / "none").mkdir()
    with pytest.raises(BadData, match="has no data in it"):
        read(tmp_path / "none", TOLD)


def test_too_few_points(tmp_path: Path) -> None:
    t, v, i = loop()
    with pytest.raises(BadData, match="has 12 rows") as refusal:
        one(written(tmp_path / "a.csv", table("t,V,I", t[:12], v[:12], i[:12])))
    assert "40 or more" in refusal.value.allowed


def test_a_few_bad_rows_are_dropped_counted_and_named(tmp_path: Path) -> None:
    lines = table("t,V,I", *loop()).splitlines()
    lines[7] = lines[7].rpartition(",")[0] + ",NaN"
    lines[9] = "0.1,oops,3"
    lines[-1] = lines[-1][: len(lines[-1]) // 3]  # truncated
    found = one(written(tmp_path / "a.csv", "\n".join(lines)))
    assert len(found.seconds) == 597
    assert (
        found.remarks[0]
        == '3 rows of 600 dropped (line 8: "NaN", line 10: "oops", line 601: 2 columns for 3)'
    )


def test_many_bad_rows_are_refused(tmp_path: Path) -> None:
    lines = table("t,V,I", *loop()).splitlines()
    for k in range(10, 50):
        lines[k] = lines[k].rpartition(",")[0] + ",nan"
    with pytest.raises(BadData, match=r"40 of 600 rows cannot be read: line 11: \"nan\"") as refusal:
        one(written(tmp_path / "a.csv", "\n".join(lines)))
    assert "2 % of the rows" in refusal.value.allowed


def test_a_truncated_gzip_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(table("t,V,I", *loop()).encode())[:400])
    with pytest.raises(BadData, match="damaged or ends too early"):
        one(path)


@pytest.mark.parametrize(
    ("scales", "wrong", "todo"),
    [
        ((1, 1, 1e6), r"currents of up to .* A are not what these devices see.*in uA", "--unit current=uA"),
        ((1, 1, 1e3), r"currents of up to .* in mA", "--unit current=mA"),
        ((1, 1e3, 1), r"voltages of up to 1000 V .* in mV", "--unit voltage=mV"),
        ((1, 1e-3, 1), r"voltages of at most 1 mV", "--unit voltage="),
        ((1, 1, 30), r"flow where 1 V behind 5.11 kohm can drive 195.7 uA at most", "check --series"),
    ],
)
def test_wrong_units(tmp_path: Path, scales: tuple[float, ...], wrong: str, todo: str) -> None:
    path = written(tmp_path / "a.csv", table("t,V,I", *(c * k for c, k in zip(loop(), scales, strict=True))))
    with pytest.raises(BadData, match=wrong) as refusal:
        one(path)
    assert todo in refusal.value.todo


def test_units_may_be_told(tmp_path: Path) -> None:
    t, v, i = loop()
    path = written(tmp_path / "a.csv", table("t,V,I", t * 1e3, v, i * 1e6))
    assert one(path, Telling(SERIES, units=Units("ms", None, "uA"))).amps == pytest.approx(i, abs=1e-11)
    with pytest.raises(BadData, match='"furlong" is no unit of a current'):
        one(path, Telling(SERIES, units=Units(current="furlong")))


def test_swapped_columns(tmp_path: Path) -> None:
    t, v, i = loop()
    path = written(tmp_path / "a.csv", table("", t, i, v))
    with pytest.raises(BadData, match="columns look swapped") as refusal:
        one(path)
    assert "--correct swap" in refusal.value.todo
    found = one(path, Telling(SERIES, corrections=frozenset({"swap"})))
    assert found.volts == pytest.approx(v, abs=1e-8)
    assert "corrected as told: swap" in found.remarks


def test_time_that_goes_back(tmp_path: Path) -> None:
    t, v, i = loop()
    t[100] = t[98]
    with pytest.raises(BadData, match=r"time stands still or goes back after 0\.0495 s"):
        one(written(tmp_path / "a.csv", table("t,V,I", t, v, i)))


def test_columns_that_cannot_be_told(tmp_path: Path) -> None:
    t, v, i = loop()
    with pytest.raises(BadData, match="4 columns and no header"):
        one(written(tmp_path / "a.csv", table("", t, v, i, i)))
    with pytest.raises(BadData, match="no column is a current"):
        one(written(tmp_path / "b.csv", table("t,V,temperature", t, v, i)))


def test_a_missing_cycle_is_named_and_left_out(tmp_path: Path) -> None:
    t, v, i = loop(cycles=6)
    keep = (t < 0.2) | (t >= 0.3)
    part = excerpt(one(written(tmp_path / "a.csv", table("t,V,I", t[keep], v[keep], i[keep]))))
    assert "cycle 3 of 6 has a hole and is left out" in part.remarks
    assert part.cycles is not None
    assert len(part.cycles) == 4  # of six: without the first and the third
    whole = excerpt(one(written(tmp_path / "b.csv", table("t,V,I", t, v, i))))
    assert part.amps == pytest.approx(whole.amps, abs=2e-3 * np.abs(i).max())


def test_programming_tables_give_statistics(tmp_path: Path) -> None:
    header = "Timestamp,No. pulses, No. Test,R,Succes,dt_Ron,Amp_RonR,q,E_memristor,State"
    rows = list[str]()
    for cycle in range(10):
        rows.append(f"{cycle}.0, 0, 0, 100.0,False, 0.1, -2.5, -5e-05,1e-4,R_off")
        if cycle % 2:
            rows.append(f"{cycle}.2, 1, 0, 20.0,False, 0.005, 1, 7e-05,1e-5,Unknown")
        rows.append(f"{cycle}.4, 2, 0, {4.0 if cycle % 2 else 2.0},True, 0.005, 1, 7e-05,1e-5,R_on")
    found = programming.read(written(tmp_path / "W_set1V.csv", "\n".join([header, *rows]) + "\n1681,trunc"))
    assert (found.volts, found.seconds, found.cycles) == (1.0, 0.005, 10)
    assert found.first_pulse.value == 0.5
    assert found.first_pulse.low == pytest.approx(0.2366, abs=1e-4)  # Wilson's interval of 5 in 10
    assert found.pulses.value == 1.5
    assert found.median_ohms.value == 3000.0
    assert found.spread.value == pytest.approx(np.std(np.log([2.0, 4.0] * 5), ddof=1))
    assert found.reset_ohms == 100e3
    assert found.remarks == ("1 rows dropped (line 27)",)
