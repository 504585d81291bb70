"""The check-up on this machine as it is, and with things really broken: parts, variables, disks."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hsi_ssl.doctor.disk import looked_at, run_folders, troubles_of_folders
from hsi_ssl.doctor.machine import cores, described, troubles_of_machine
from hsi_ssl.doctor.parts import OUTSIDE, probed, troubles_of_parts

CLEAN = {key: value for key, value in os.environ.items() if key not in OUTSIDE}


def doctor(folder: Path, *more: str, **around: str) -> tuple[int, dict[str, Any], str]:
    """Run `hsi-ssl doctor --json` in a folder; its exit code, what it says, its errors."""
    ran = subprocess.run(
        [sys.executable, "-m", "hsi_ssl.cli", "doctor", "--json", *more],
        cwd=folder, env={**CLEAN, **around}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return ran.returncode, json.loads(ran.stdout or "{}"), ran.stderr


@pytest.mark.slow
def test_what_is_there_is_told_without_a_gpu_and_what_is_broken_does_not_end_it(
    tmp_path: Path,
) -> None:
    """One part raises, another brings its process down; the rest is looked at."""
    for name, code in (("scipy", "raise ImportError('libblas')"), ("shapely", "os.abort()")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"import os\n{code}\n")
    ended, found, said = doctor(
        tmp_path, PYTHONPATH=str(tmp_path), CUDA_VISIBLE_DEVICES="", PROJ_LIB=str(tmp_path)
    )
    assert ended == 2, said
    assert "Traceback" not in said
    packages = found["packages"]
    assert packages["torch"]["gpus"] == []
    assert packages["torch"]["gflops"] > 0.1
    assert packages["h5py"]["read_back"] is True
    assert {"GTiff", "COG", "ENVI"} <= set(packages["rasterio"]["drivers"])
    assert packages["rasterio"]["read_back"] is True
    assert found["cores"] == cores()
    assert all(one["written"] > 0 and one["read"] > 0 for one in found["folders"])
    told = {trouble["about"]: trouble for trouble in found["troubles"]}
    assert "cannot be imported" in told["scipy"]["said"]
    assert "libblas" in told["scipy"]["said"]
    assert "brings Python down (signal 6)" in told["shapely"]["said"]
    assert told["shapely"]["do"] == "pip install --force-reinstall shapely"
    assert f"PROJ_LIB={tmp_path}" in told["coordinates"]["said"]
    assert told["coordinates"]["do"].startswith("unset PROJ_LIB")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.slow
def test_a_variable_of_another_installation_is_found_by_what_it_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROJ_DATA", str(tmp_path / "gone"))
    monkeypatch.delenv("PROJ_LIB", raising=False)
    found = {"rasterio": probed("rasterio")}
    (trouble,) = troubles_of_parts(found, os.environ)
    assert trouble.level == "wrong"
    assert "no coordinate system is known" in trouble.said
    assert "another installation" in trouble.said


def test_a_variable_that_breaks_nothing_is_only_told(tmp_path: Path) -> None:
    (trouble,) = troubles_of_parts({}, {"GDAL_DATA": str(tmp_path / "gone")})
    assert trouble.level == "note"
    assert "leads nowhere" in trouble.said


def test_a_part_that_is_missing_is_told_with_what_it_is_for() -> None:
    found = {"nosuchpart": probed("nosuchpart")}
    assert found["nosuchpart"]["error"].startswith("ModuleNotFoundError")
    answer = {"h5py": {"error": "ModuleNotFoundError: No module named 'h5py'"}}
    (trouble,) = troubles_of_parts(answer, {})
    assert trouble.said == "is not installed, and is needed for HDF5 cubes and prepared datasets"
    assert trouble.do == "pip install h5py"


FULL = """
import json, sys
from pathlib import Path
from hsi_ssl.doctor.disk import looked_at, troubles_of_folders
found = [looked_at(Path(sys.argv[1]))]
print(json.dumps([found, [t.said + ": " + t.do for t in troubles_of_folders(found, {})]]))
"""


def full(folder: Path, *before: str, **how: Any) -> tuple[dict[str, Any], list[str]]:
    ran = subprocess.run(
        [*before, sys.executable, "-c", FULL, str(folder)],
        capture_output=True, text=True, check=True, **how,
    )  # fmt: skip
    found, said = json.loads(ran.stdout)
    return found[0], said


def test_files_that_may_not_grow_are_found(tmp_path: Path) -> None:
    """As a quota does, the limit refuses what is written, however much room there is."""
    limits = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (10_000, 10_000))
    found, said = full(tmp_path, preexec_fn=limits)
    assert "free" in found
    assert "grows larger than this disk or account allows" in said[0]
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_found(tmp_path: Path) -> None:
    """A real one, of 100 kB, where this machine lets a test mount it."""
    mounted = f'mount -t tmpfs -o size=100k none {tmp_path} && exec "$@"'
    before = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted, "sh")
    tried = [*before, "true"]
    if shutil.which("unshare") is None or subprocess.run(tried, check=False).returncode:
        pytest.skip("needs to mount a small disk")
    found, said = full(tmp_path, *before)
    assert found["free"] <= 102_400
    assert said == [
        f"cannot write to {tmp_path}: no space is left on the disk; free some or write elsewhere"
    ]


def test_a_folder_that_may_not_be_written_to_is_found(tmp_path: Path) -> None:
    (trouble,) = troubles_of_folders([looked_at(Path("/proc/1"))], {})
    assert trouble.level == "wrong"
    assert trouble.said == "cannot write to /proc/1"


def test_little_room_is_told() -> None:
    few = {"folder": "runs", "free": 5e7, "written": 1e6, "read": 1e6}
    (trouble,) = troubles_of_folders([few], {"HSI_SSL_DATA": "/"})
    assert trouble.said.startswith("50 MB are free where runs is")


def test_runs_go_where_the_settings_say(tmp_path: Path) -> None:
    project = tmp_path / "hsi-ssl.toml"
    project.write_text("[m1]\noutput = 'elsewhere/m1'\n[m2]\noutput = 3\n")
    assert run_folders(project) == [Path("runs"), Path("elsewhere")]
    project.write_text("[m1\n")
    assert run_folders(project) == [Path("runs")]


TORCH = {"version": "2.9.0+cu128", "cuda": "12.8", "gpus": [], "threads": 2}


@pytest.mark.parametrize(
    ("there", "torch", "environment", "said"),
    [
        ([], TORCH, {}, "is built for CUDA 12.8, and no GPU is there"),
        (["A100"], TORCH, {"CUDA_VISIBLE_DEVICES": ""}, "CUDA_VISIBLE_DEVICES='' hides A100"),
        (["A100"], {**TORCH, "cuda": None}, {}, "A100 is not used: torch 2.9.0+cu128 is built for"),
        (["A100"], {**TORCH, "gpu_said": "driver too old"}, {}, "driver too old"),
        (["A100"], {**TORCH, "gpus": ["A100"], "gpu_error": "no kernel"}, {}, "no kernel"),
        ([], {}, {"OMP_NUM_THREADS": "64"}, "asks for more threads than the 4 cores here"),
        ([], {}, {"OMP_NUM_THREADS": "1"}, "leaves 3 of 4 cores idle"),
        ([], {}, {"OMP_NUM_THREADS": "all"}, "is no number"),
        ([], {"threads": 64}, {}, "torch takes 64 threads"),
        ([], {}, {"WORLD_SIZE": "2"}, "several processes train as one"),
    ],
)
def test_what_is_at_odds_is_told_with_what_to_do(
    there: list[str], torch: dict[str, Any], environment: dict[str, str], said: str
) -> None:
    machine = {**described(), "cores": 4, "gpus": there, "memory_free": 8e9}
    (trouble,) = troubles_of_machine(machine, torch, environment)
    assert said in trouble.said
    assert trouble.do


def test_where_all_suits_nothing_is_told() -> None:
    machine = {**described(), "cores": 4, "gpus": ["A100"], "memory_free": 8e9}
    torch = {**TORCH, "gpus": ["A100"]}
    assert troubles_of_machine(machine, torch, {"OMP_NUM_THREADS": "4"}) == []
    (trouble,) = troubles_of_machine({**machine, "memory_free": 1e8}, torch, {})
    assert "0.1 GB are free" in trouble.said
