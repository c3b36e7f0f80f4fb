"""What breaks around a fit: caches, folders, threads, processes, signals, memory. The answer is right or the error is clean."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from engine_cases import regression
from exact import judge

import fastmtl
from fastmtl.penalties import L21

ROOT = Path(__file__).resolve().parent.parent.parent
TOL = 1e-6
X, Y = regression(n=60, p=120, t=4, active=10)
ALPHA = 0.1 * fastmtl.alpha_max(X, Y)
PREAMBLE = f"""
import sys, os, warnings
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "kernels")!r}, {str(ROOT / "tests")!r}]
import numpy as np
import fastmtl
from engine_cases import regression
X, Y = regression(n=60, p=120, t=4, active=10)
def fit(**settings):
    result = fastmtl.fit(X, Y, alpha={ALPHA!r}, **settings)
    assert result.status == "optimal", result
    again = fastmtl.certify(X, Y, result.coef, result.intercept, alpha={ALPHA!r}, dual=result.dual)
    assert again.relative_gap <= {TOL!r}, again
    return result
def work(_):
    return fit().certificate.primal
"""
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits, fork and signals as Linux has them")


def in_process(code: str, *, timeout: float = 300.0, **environment: str | None) -> str:
    """Run code after the preamble in a fresh process; its output. None removes a variable."""
    env = {k: v for k, v in os.environ.items() if environment.get(k, "") is not None}
    env |= {k: v for k, v in environment.items() if v is not None}
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(code)],
        capture_output=True, text=True, check=False, timeout=timeout, env=env,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def cache_copy(folder: Path) -> Path:
    """A copy of the compiled kernels of this test run, made first if there are none."""
    fastmtl.fit(X, Y, alpha=ALPHA)
    shutil.copytree(os.environ["NUMBA_CACHE_DIR"], folder / "cache")
    return folder / "cache"


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def garbage(file: Path) -> None:
    file.write_bytes(np.random.default_rng(0).bytes(4096))


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def replaced_by_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.slow
@pytest.mark.parametrize("damage", [truncated, garbage, emptied, replaced_by_a_folder])
@pytest.mark.parametrize("kind", ["*.nbi", "*.nbc"])
def test_damaged_cache(tmp_path, damage, kind):
    """Whatever a cache file has become costs a compilation."""
    cache = cache_copy(tmp_path)
    files = list(cache.rglob(kind))
    assert files
    for file in files:
        damage(file)
    in_process("fit()", NUMBA_CACHE_DIR=str(cache))


def test_every_failure_of_a_cache_is_a_miss(monkeypatch):
    """Reading, writing and clearing fail, then there is no folder at all: functions are compiled in memory."""
    from fastmtl_kernels.cpu import _jit

    def broken(*_):
        raise OSError("the disk is gone")

    for name in ("load_overload", "save_overload", "flush"):
        monkeypatch.setattr(_jit.FunctionCache, name, broken)
    assert _jit.jit(lambda x: x + 1.0)(2.0) == 3.0
    monkeypatch.setattr(_jit, "_TolerantCache", broken)
    assert _jit.jit(lambda x: x + 1.0)(2.0) == 3.0
    assert _jit.cache_folder() is None


@pytest.mark.slow
def test_no_folder_for_a_cache(tmp_path):
    """A cache folder that is a file, and no HOME: compiled in memory."""
    file = tmp_path / "file"
    file.write_text("not a folder")
    gone = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "USERPROFILE", "LOCALAPPDATA"))
    in_process("fit()", NUMBA_CACHE_DIR=str(file / "below"), **gone)
    in_process("fit()", NUMBA_CACHE_DIR=None, **gone)


@pytest.mark.slow
def test_processes_race_for_a_cache(tmp_path):
    """Four processes that compile into one empty folder at once."""
    folder = str(tmp_path / "cache")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: in_process("fit()", NUMBA_CACHE_DIR=folder, timeout=600.0), range(4)))
    in_process("fit()", NUMBA_CACHE_DIR=folder)


@LINUX
@pytest.mark.slow
def test_full_disk(tmp_path):
    """No file can grow: kernels are compiled in memory, and what is to be saved says why it is not."""
    folder = str(tmp_path / "cache")
    in_process(
        f"""
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))
        result = fit()
        for save in (lambda: result.save({str(tmp_path / "model.npz")!r}),
                     lambda: fastmtl.dump_problem({str(tmp_path / "case.npz")!r}, X, Y, alpha=0.1)):
            try:
                save()
            except OSError as error:
                assert error.errno
            else:
                raise AssertionError("saved to a full disk")
        """,
        NUMBA_CACHE_DIR=folder,
    )


def test_eight_threads_at_once():
    """Eight fits side by side each give the bits that they give alone."""
    problems = [(X * (1 + k), Y[:, : 1 + k % 4], ALPHA * (1 + k) / (1 + k % 3)) for k in range(8)]
    alone = [fastmtl.fit(A, B, alpha=a) for A, B, a in problems]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda one: fastmtl.fit(one[0], one[1], alpha=one[2]), problems * 3))
    for one, other in zip(alone * 3, together, strict=True):
        assert np.array_equal(one.coef, other.coef) and one.certificate == other.certificate


@LINUX
@pytest.mark.parametrize(
    "layer",
    ["workqueue", pytest.param("omp", marks=pytest.mark.slow), pytest.param("tbb", marks=pytest.mark.slow)],
)
def test_fork_after_a_fit(layer):
    """A child made by fork after a fit fits as its parent does, whatever threads the libraries had started."""
    out = in_process(
        """
        first = fit(n_threads=2)
        children = []
        for _ in range(3):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    same = np.array_equal(fit(n_threads=2).coef, first.coef)
                    status = 0 if same else 2
                finally:
                    os._exit(status)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert codes == [0, 0, 0], codes
        assert np.array_equal(fit(n_threads=2).coef, first.coef)
        print("forked")
        """,
        NUMBA_THREADING_LAYER=layer, OPENBLAS_NUM_THREADS="2", OMP_NUM_THREADS="2", timeout=200.0,
    )  # fmt: skip
    assert "forked" in out


@pytest.mark.slow
def test_loky_workers():
    joblib = pytest.importorskip("joblib", reason="workers of joblib need it")
    expected = fastmtl.fit(X, Y, alpha=ALPHA)

    def one(seed: int) -> np.ndarray:
        import fastmtl

        assert seed >= 0
        return fastmtl.fit(X, Y, alpha=ALPHA).coef

    for coef in joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(one)(k) for k in range(4)):
        assert np.array_equal(coef, expected.coef)


@pytest.mark.slow
def test_spawned_workers(tmp_path):
    script = tmp_path / "spawned.py"
    main = """
    if __name__ == "__main__":
        import multiprocessing
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            values = pool.map(work, range(4))
        assert len(set(values)) == 1 and values[0] == work(0)
    """
    script.write_text(PREAMBLE + textwrap.dedent(main))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


@LINUX
@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals go to the main thread"
)
def test_sigint_at_random_moments():
    """Ctrl-C 20 times somewhere in a fit or a path: the best so far with an honest certificate, and the next fit is right."""
    expected = fastmtl.fit(X, Y, alpha=ALPHA)
    moments = random.Random(0)
    caught = 0
    for k in range(20):
        timer = threading.Timer(moments.uniform(0.0, 0.03), os.kill, (os.getpid(), signal.SIGINT))
        result = None
        try:
            timer.start()
            while timer.is_alive() or k < 0:
                if k % 2:
                    fastmtl.fit(X, Y, alpha=0.02 * ALPHA, tol=1e-12)
                else:
                    fastmtl.fit_path(X, Y, n_alphas=20, eps=0.05)
            time.sleep(0.05)  # between fits: an ordinary interrupt
        except fastmtl.FitInterrupted as stop:
            caught += 1
            result = stop.result if k % 2 else stop.path
        except KeyboardInterrupt:
            pass
        timer.join()
        if result is not None and k % 2:
            penalty = L21(0.02 * ALPHA)
            found = judge(X, Y, result.coef, result.intercept, penalty, dual=result.dual)
            assert result.status == "interrupted"
            assert result.certificate.primal == pytest.approx(float(found.primal), rel=1e-9)
            assert result.certificate.dual <= float(found.primal) * (1 + 1e-12)
        elif result is not None:
            assert all(np.isfinite(c.relative_gap) for c in result.certificates)
    assert caught >= 10
    again = fastmtl.fit(X, Y, alpha=ALPHA)
    assert np.array_equal(again.coef, expected.coef) and again.certificate == expected.certificate


@LINUX
@pytest.mark.slow
def test_out_of_memory():
    """A fit that needs more memory than there is raises MemoryError, and the next one works."""
    out = in_process(
        """
        import resource
        fit()
        big = np.random.default_rng(0).standard_normal((2000, 12000)).astype(np.float32)
        targets = big[:, :300].astype(float)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (40 << 20), used + (40 << 20)))
        try:
            fastmtl.fit(big, targets, alpha=1e-4, max_iter=3)
        except MemoryError:
            print("MemoryError")
        fit()
        print("right")
        """
    )
    assert "right" in out


def test_missing_optional_packages():
    """No optional package can be imported: fits do not need one."""
    out = in_process(
        """
        class Absent:
            names = {"cupy", "sklearn", "pandas", "polars", "torch", "jax", "matplotlib", "tqdm", "joblib", "cvxpy"}
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in self.names:
                    raise ImportError(f"{name} is not here")
        sys.meta_path.insert(0, Absent())
        fit(verbose=True)
        fastmtl.fit_path(X, Y, n_alphas=3)
        print("right")
        """
    )
    assert "right" in out


def test_warnings_are_the_only_noise(capfd):
    """A fit that ends early says so once."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        fastmtl.fit(X, Y, alpha=1e-3 * ALPHA, tol=1e-12, time_limit=0.0)
    assert [w.category for w in seen] == [fastmtl.ConvergenceWarning]
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_kernels_stay_in_bounds(tmp_path):
    """The tests of the kernels with every index checked."""
    checked = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/kernels", "tests/trust/test_kernel_laws.py"],
        cwd=ROOT, env={**os.environ, **checked}, capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
