"""Cores, memory and GPUs of this machine, and settings of threads that are at odds with them."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hsi_ssl.doctor.trouble import Trouble

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
LEAST_MEMORY = 2e9
"""Bytes that are free where a training of a usual dataset has room."""
LEAST_PYTHON = (3, 11)
CPU_TORCH = "pip install torch --index-url https://download.pytorch.org/whl/cpu"


def cores() -> int:
    """Cores that this process may use: of its affinity, and of a container's share."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    share = _container_cores()
    return max(1, min(found or 1, share or found or 1))


def _container_cores() -> int | None:
    """Cores of a container's share of time (cgroup 2), None where it has all."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            return max(1, int(quota) // int(period))
    return None


def memory() -> tuple[int, int] | None:
    """Bytes of memory that are free, and all; None where this system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        known = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines}
        free, every = known["MemAvailable"], known["MemTotal"]
    except (OSError, ValueError, KeyError, IndexError):
        return None
    with contextlib.suppress(OSError, ValueError):
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        every, free = min(every, limit), min(free, max(0, limit - used))
    return free, every


def gpus_by_driver() -> list[str]:
    """Names of GPUs as NVIDIA's driver tells them, whatever torch sees."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    asked = [program, "--query-gpu=name", "--format=csv,noheader"]
    try:
        ran = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return (
        [line.strip() for line in ran.stdout.splitlines() if line.strip()]
        if not ran.returncode
        else []
    )


def described() -> dict[str, Any]:
    """Python, system, cores and memory, as JSON."""
    free = memory()
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": cores(),
        "memory_free": free and free[0],
        "memory": free and free[1],
        "gpus": gpus_by_driver(),
    }


def troubles_of_machine(
    found: Mapping[str, Any], torch: Mapping[str, Any], environment: Mapping[str, str]
) -> list[Trouble]:
    """What is too little, or set at odds with what is there."""
    said = []
    if sys.version_info < LEAST_PYTHON:
        said.append(
            Trouble("wrong", "Python", f"is {found['python']}", "take Python 3.11 or newer")
        )
    if found["memory_free"] is not None and found["memory_free"] < LEAST_MEMORY:
        said.append(
            Trouble(
                "wrong",
                "memory",
                f"{found['memory_free'] / 1e9:.1f} GB are free, and a training may want "
                f"{LEAST_MEMORY / 1e9:.0f}",
                "close other programs, or train with --stream and a smaller --cap in prepare",
            )
        )
    if sys.getfilesystemencoding().lower().replace("-", "") != "utf8":
        said.append(
            Trouble(
                "wrong", "locale", "names of files are not read as UTF-8", "export LANG=C.UTF-8"
            )
        )
    said += _threads(found["cores"], torch, environment)
    said += _gpu(found["gpus"], torch, environment)
    if environment.get("WORLD_SIZE", "1") != "1":
        said.append(
            Trouble(
                "wrong",
                "WORLD_SIZE",
                f"WORLD_SIZE={environment['WORLD_SIZE']} says that several processes train as one",
                "unset WORLD_SIZE RANK, unless torchrun sets them",
            )
        )
    return said


def _threads(cores: int, torch: Mapping[str, Any], environment: Mapping[str, str]) -> list[Trouble]:
    said = []
    for key in THREADS:
        value = environment.get(key)
        if value is None:
            continue
        if not value.isdigit() or int(value) < 1:
            said.append(Trouble("wrong", key, f"{key}={value} is no number", f"unset {key}"))
        elif int(value) > cores:
            said.append(
                Trouble(
                    "slow",
                    key,
                    f"{key}={value} asks for more threads than the {cores} cores here: they wait "
                    "for each other",
                    f"export {key}={cores}, or unset it",
                )
            )
        elif int(value) < cores:
            idle = cores - int(value)
            said.append(
                Trouble(
                    "slow",
                    key,
                    f"{key}={value} leaves {idle} of {cores} cores idle",
                    f"unset {key}",
                )
            )
    threads = torch.get("threads")
    if threads is not None and threads > cores and "OMP_NUM_THREADS" not in environment:
        said.append(
            Trouble(
                "slow",
                "threads",
                f"torch takes {threads} threads, and {cores} cores are this process's share",
                f"export OMP_NUM_THREADS={cores}",
            )
        )
    return said


def _gpu(
    there: list[str], torch: Mapping[str, Any], environment: Mapping[str, str]
) -> list[Trouble]:
    """A GPU that torch does not use, or a torch for GPUs without one."""
    if "version" not in torch or torch["gpus"]:
        if "gpu_error" in torch:
            return [
                Trouble("wrong", "GPU", f"cannot compute: {torch['gpu_error']}", "--device cpu")
            ]
        return []
    hidden = environment.get("CUDA_VISIBLE_DEVICES")
    if there and hidden is not None:
        said = f"CUDA_VISIBLE_DEVICES={hidden!r} hides {', '.join(there)}"
        return [Trouble("slow", "GPU", said, "unset CUDA_VISIBLE_DEVICES")]
    if there and torch["cuda"] is None:
        said = f"{', '.join(there)} is not used: torch {torch['version']} is built for processors"
        return [
            Trouble("slow", "GPU", said, "pip install --force-reinstall torch (its build for CUDA)")
        ]
    if there:
        why = torch.get("gpu_said") or "its driver may be older than torch's CUDA"
        said = f"{', '.join(there)} is not used by torch {torch['version']}: {why}"
        return [Trouble("slow", "GPU", said, "update the driver, or take a torch of its CUDA")]
    if torch["cuda"] is not None:
        said = (
            f"torch {torch['version']} is built for CUDA {torch['cuda']}, and no GPU is there: it "
            "works on the processor, and takes some GB of disk for nothing"
        )
        return [Trouble("note", "torch", said, f"pip uninstall torch, then {CPU_TORCH}")]
    return []
