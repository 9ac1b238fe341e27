"""A fit written down: as JSON for programs, as CSV for a spreadsheet, and as lines for a parameter file."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labctl.errors import BadData
from labctl.fit.fitting import Fit


def as_data(fit: Fit) -> dict[str, Any]:
    """All figures of a fit; what is no number is None."""
    left_out = fit.left_out or [math.nan] * len(fit.parts)
    return {
        "model": fit.candidate.name,
        "terms_as_in": fit.start,
        "fingerprint": fit.fingerprint,
        "seed": fit.seed,
        "seconds": round(fit.seconds, 3),
        "evaluations": fit.evaluations,
        "mean_nmse": fit.mean_nmse,
        "total_nmse": fit.total_nmse,
        "mean_nmse_left_out": _number(sum(left_out) / len(left_out)),
        "independent_samples": fit.samples,
        "parameters": {
            one.name: {
                "value": one.value,
                "unit": one.unit,
                "standard_error": one.error,
                "low": one.low,
                "high": one.high,
                "undetermined": one.undetermined or None,
                "nuisance": one.nuisance,
            }
            for one in fit.estimates
        },
        "values": dict(zip([u.name for u in fit.candidate.unknowns], map(float, fit.values), strict=True)),
        "correlation": [[float(value) for value in row] for row in fit.correlation],
        "recordings": _recordings(fit, left_out),
        "remarks": list(fit.remarks),
    }


def _recordings(fit: Fit, left_out: Sequence[float]) -> list[dict[str, Any]]:
    return [
        {
            "name": part.name,
            "nmse": nmse,
            "nmse_left_out": _number(left),
            "nmse_of_single_cycles": _number(part.scatter),
            "series_ohms": part.series_ohms,
            "period_seconds": part.period or None,
            "remarks": list(part.remarks),
        }
        for part, nmse, left in zip(fit.parts, fit.nmse, left_out, strict=True)
    ]


def as_csv(fit: Fit) -> str:
    """A row a parameter: name, unit, value, standard error, ends of its 95 % interval, what is open."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["parameter", "unit", "value", "standard_error", "low_95", "high_95", "undetermined"])
    for one in fit.estimates:
        rows.writerow([one.name, one.unit, one.value, one.error, one.low, one.high, one.undetermined])
    return text.getvalue()


def parameter_file(fit: Fit, dopant: str | None, names: list[str]) -> str:
    """The text of a parameter file that a bench can name."""
    about: Mapping[str, str] = {
        "fitted by": f"labctl fit --model {fit.candidate.name} --seed {fit.seed}",
        "on": datetime.now(UTC).strftime("%Y-%m-%d"),
        "data": ", ".join(names),
        "data's fingerprint (SHA-256 of the numbers)": fit.fingerprint,
        "NMSE": f"{fit.mean_nmse:.5f} in the mean of {len(fit.parts)} recordings{_left_out(fit)}",
        "dopant": dopant or "unknown",
        "source": f"labctl fit to {len(fit.parts)} recordings, data {fit.fingerprint[:16]}",
    }
    if fit.remarks:
        about = {**about, "warning": " ".join(fit.remarks)}
    intervals = [fit.interval(unknown.name) for unknown in fit.candidate.unknowns]
    return fit.candidate.file_text(fit.values, about, intervals)


def write(fit: Fit, path: Path, dopant: str | None, names: list[str]) -> list[Path]:
    """The parameter file, and beside it `.json` and `.csv`. Raises `BadData` if they cannot be written."""
    texts = {
        path: parameter_file(fit, dopant, names),
        path.with_suffix(".json"): json.dumps(as_data(fit), indent=1, allow_nan=False) + "\n",
        path.with_suffix(".csv"): as_csv(fit),
    }
    for file, text in texts.items():
        part = file.with_name(f"{file.name}.part")
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(file)
        except OSError as error:
            raise BadData(f"{file} cannot be written: {error.strerror or error}") from error
    return list(texts)


def _left_out(fit: Fit) -> str:
    if not fit.left_out:
        return ""
    mean = sum(fit.left_out) / len(fit.left_out)
    return f"; {mean:.5f} where each was left out and predicted"


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
