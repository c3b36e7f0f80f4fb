"""Pictures show the numbers they are given, on the Axes they are given."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from engine_cases import regression

import fastmtl

matplotlib = pytest.importorskip("matplotlib", minversion="3.8", reason="pictures need matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot  # noqa: E402

from fastmtl import plotting  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def ax():
    figure, ax = pyplot.subplots()
    yield ax
    pyplot.close(figure)


@pytest.fixture(scope="module")
def data():
    return regression(n=40, p=15, t=3)


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def test_paths_show_row_norms_or_coefficients(ax, data):
    path = fastmtl.fit_path(*data, n_alphas=10)
    assert plotting.plot_path(path, ax, n_named=2) is ax
    norms = np.linalg.norm(path.coefs, axis=2)
    strongest = int(norms.max(axis=0).argmax())
    np.testing.assert_allclose(lines(ax)[f"feature {strongest}"].get_ydata(), norms[:, strongest])
    assert len(ax.get_legend().get_texts()) == 2 and ax.get_xlim() == (path.alphas[0], path.alphas[-1])
    ax.clear()
    plotting.plot_path(path, ax, task=1)
    drawn = np.array([line.get_ydata() for line in ax.get_lines() if len(line.get_ydata()) == 10])
    expected = path.coefs[:, :, 1].T
    np.testing.assert_allclose(
        np.sort(drawn.sum(axis=1)), np.sort(expected[expected.any(axis=1)].sum(axis=1))
    )


def test_cross_validation_shows_its_band_and_rules(ax, data):
    cv = fastmtl.cross_validate(*data, n_alphas=12, l1_ratios=[0.4, 1.0])
    assert plotting.plot_cv(cv, ax) is ax
    ratio, best = cv.index("min")
    np.testing.assert_allclose(ax.get_lines()[1].get_ydata(), cv.mean[ratio])
    band = ax.collections[0].get_datalim(ax.transData)
    np.testing.assert_allclose(band.y0, (cv.mean - cv.se)[ratio].min())
    np.testing.assert_allclose(band.y1, (cv.mean + cv.se)[ratio].max())
    assert ax.get_lines()[2].get_xdata()[0] == cv.alphas[ratio, best]


def test_heat_maps_show_active_rows_by_name(ax, data):
    pandas = pytest.importorskip("pandas", reason="names come from frames")
    X, Y = data
    fit = fastmtl.fit(
        pandas.DataFrame(X, columns=[f"g{j}" for j in range(15)]),
        pandas.DataFrame(Y, columns=list("abc")),
        alpha=0.2 * fastmtl.alpha_max(X, Y),
    )
    assert plotting.plot_coef(fit, ax) is ax
    np.testing.assert_allclose(ax.get_images()[0].get_array(), fit.coef[fit.support])
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"g{j}" for j in fit.support]
    assert [label.get_text() for label in ax.get_xticklabels()] == list("abc")
    ax.clear()
    plotting.plot_coef(fit, ax, max_features=2)
    assert ax.get_images()[0].get_array().shape == (2, 3) and "largest 2" in ax.get_title()


def test_convergence_shows_the_history(ax, data):
    fit = fastmtl.fit(*data, alpha=0.02, tol=1e-10)
    assert plotting.plot_convergence(fit, ax) is ax
    drawn = ax.get_lines()[0]
    np.testing.assert_allclose(drawn.get_ydata()[:-1], [entry[1] for entry in fit.history])
    ax.clear()
    exact = fastmtl.fit(*data, alpha=2 * fastmtl.alpha_max(*data))
    plotting.plot_convergence({"some": fit, "exact": exact}, ax)
    assert {"some", "exact"} <= set(lines(ax))


def test_singular_values_are_drawn_in_order(ax, data):
    fit = fastmtl.fit(*data, "trace", alpha=0.1 * fastmtl.alpha_max(*data, "trace"))
    assert plotting.plot_singular_values(fit, ax) is ax
    np.testing.assert_allclose(lines(ax)[f"rank {fit.rank}"].get_ydata(), fit.singular_values)
    none = fastmtl.fit(*data, "trace", alpha=2 * fastmtl.alpha_max(*data, "trace"))
    plotting.plot_singular_values({"none": none}, ax)


def test_supports_show_the_share_of_tasks(ax, data):
    rows = fastmtl.fit(*data, alpha=0.2 * fastmtl.alpha_max(*data))
    entries = fastmtl.fit(*data, "l1", alpha=0.2 * fastmtl.alpha_max(*data, "l1"))
    assert plotting.plot_supports({"rows": rows, "entries": entries}, ax) is ax
    shown = ax.get_images()[0].get_array()
    union = np.union1d(rows.support, entries.support)
    np.testing.assert_allclose(np.ma.filled(shown, 0.0)[:, 1], (entries.coef != 0).mean(axis=1)[union])
    assert [label.get_text() for label in ax.get_xticklabels()] == [
        f"rows\n{rows.n_active} active",
        f"entries\n{entries.n_active} active",
    ]


def test_supports_keep_the_largest_rows_of_any_fit(ax, data):
    fits = {str(share): fastmtl.fit(*data, alpha=share * fastmtl.alpha_max(*data)) for share in (0.05, 0.3)}
    plotting.plot_supports(fits, ax, max_features=2)
    norms = [np.linalg.norm(fit.coef, axis=1) / np.abs(fit.coef).max() for fit in fits.values()]
    largest = np.sort(np.argsort(-np.max(norms, axis=0))[:2])
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"feature {j}" for j in largest]
    assert "largest 2 of" in ax.get_title()


def test_stability_shows_frequencies(ax, data):
    result = fastmtl.stability_selection(*data, n_pairs=3, n_features=4)
    assert plotting.plot_stability(result, ax) is ax
    j = int(result.selected[0])
    np.testing.assert_allclose(lines(ax)[f"feature {j}"].get_ydata(), result.frequencies[:, j])


def test_zero_fits_say_so(ax, data):
    zero = fastmtl.fit(*data, alpha=2 * fastmtl.alpha_max(*data))
    assert plotting.plot_coef(zero, ax).texts[0].get_text() == "all coefficients are zero"
    assert plotting.plot_supports({"zero": zero}, ax) is ax
    plotting.plot_path(fastmtl.fit_path(*data, alphas=[100.0]), ax)


def test_gallery_draws_every_picture(tmp_path):
    spec = importlib.util.spec_from_file_location("gallery", ROOT / "examples" / "gallery.py")
    assert spec is not None and spec.loader is not None
    gallery = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gallery)
    gallery.main(tmp_path)
    drawn = {file.stem for file in tmp_path.glob("*.png")}
    assert len(drawn) == 8 and all(file.stat().st_size > 5000 for file in tmp_path.iterdir())
    assert not pyplot.get_fignums()


def test_matplotlib_is_loaded_by_the_first_picture_and_asked_for_by_name(data):
    code = "import sys, fastmtl; fastmtl.plotting; assert 'matplotlib' not in sys.modules"
    path = f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'kernels')]!r}\n"
    subprocess.run([sys.executable, "-c", path + code], check=True, timeout=120)


def test_without_matplotlib_the_extra_is_named(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"fastmtl\[plot\]"):
        plotting.plot_coef(fastmtl.fit(*data, alpha=0.1))
