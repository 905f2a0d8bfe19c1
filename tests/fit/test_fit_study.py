"""Fitting a study whole: tables, rows left out, comparison, choice, sensitivity."""

import numpy as np
import pandas as pd
import pytest

from clip_scaling.cli import main
from clip_scaling.core.schema import LAWS, RUNS, SCORES, read_table, write_table
from clip_scaling.fit import choice, compare, sensitivity
from clip_scaling.fit.front import pareto
from clip_scaling.fit.heldout import hold_out, split_largest
from clip_scaling.fit.outcome import Points
from clip_scaling.fit.targets import OWN, Reason, Rules
from ladders import ladder

STUDY = """study: made
title: Made
prepare: {source: fixture, image_size: 32, vocabulary: 100, seed: 0}
subset: {shard_samples: 10, subsets: [{name: small, family: icons, samples: 10}]}
train: {engine: embedded, batch_size: 8, precision: fp32, warmup_fraction: 0.1, weight_decay: 0.1, beta1: 0.9, beta2: 0.98,
  gradient_clip: 1.0, augment_shift: 0, architectures: [{name: ViT-XXS-8, learning_rate: 0.001}],
  runs: [{architecture: ViT-XXS-8, subset: small, samples_seen: 16}]}
evaluate: {zeroshot: [], retrieval: [], linear_probe: [], fine_tune: {runs: [], iterations: 1, batch_size: 1}}
fit: {forms: [power, three_variable], bootstrap: 200, targets: []}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study of 36 + 3 models, two of which are near chance and one failed, fitted once."""
    root = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("CLIP_SCALING_ROOT", str(root))
        _write(root)
        assert main(["fit", "--study", str(root / "made.yaml")]) == 0
        yield root / "results" / "made"


def _write(root):
    points = ladder(0.02, theta=[0.45, 0.15, 2e6, 0.75, 18.0])
    rows = [("icons", k, 1.0) for k in range(36)] + [("pictorial", k, 1.2) for k in (0, 3, 6)]
    runs, scores = [], []
    for number, (family, k, worse) in enumerate(rows):
        run = f"{family}-{k:02d}"
        runs.append({"study": "made", "run": run, "family": family, "subset": family, "architecture": f"V{points.gmacs[k]:g}",
                     "gmacs_per_sample": points.gmacs[k], "unique_samples": int(points.unique[k]),
                     "samples_seen": int(points.samples[k]), "status": "failed" if number == 5 else "finished", "source": "test"})
        value = 0.04 if number in (1, 2) else 1 - min(0.99, worse * points.error[k])
        for metric, split in (("acc1", "test"), ("acc1", "all")):
            scores.append({"study": "made", "run": run, "task": "zeroshot_classification", "dataset": "icons", "split": split,
                           "metric": metric, "value": value, "n_items": 1000, "n_classes": 200, "source": "test"})
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / "made.yaml").write_text(STUDY)
    folder = root / "results" / "made"
    for table, made_rows in ((RUNS, runs), (SCORES, scores)):
        write_table(pd.DataFrame(made_rows).reindex(columns=table.names), folder / f"{table.name}.csv", table)


def test_laws_follow_the_schema(made):
    laws = read_table(made / "laws.csv", LAWS)
    law = laws[(laws["family"] == "icons") & (laws["form"] == "three_variable") & (laws["estimator"] == "log_ls")]
    assert set(law["parameter"]) == {"a", "x", "b", "y", "R"}
    assert (law["status"] == "CONVERGED").all() and (law["n_points"] == 33).all() and (law["n_left_out"] == 3).all()
    values = law.set_index("parameter")
    assert values.loc["x", "low"] < 0.15 < values.loc["x", "high"] and values.loc["R", "low"] < 18 < values.loc["R", "high"]
    assert (law["insample_mae_pp"] < 2).all() and (law["heldout_mae_pp"] < 4).all()


def test_few_models_have_no_exponent(made):
    laws = read_table(made / "laws.csv", LAWS)
    few = laws[laws["family"] == "pictorial"]
    assert len(few) and (few["status"] == "DEGENERATE").all() and few["value"].isna().all() and (few["n_points"] == 3).all()


def test_every_row_left_out_has_its_reason(made):
    rows = pd.read_csv(made / "left_out.csv")
    assert dict(zip(rows["run"], rows["reason"])) == {
        "icons-01": Reason.NEAR_CHANCE, "icons-02": Reason.NEAR_CHANCE, "icons-05": Reason.FAILED_RUN}


def test_comparison_pairs_matched_models(made):
    rows = pd.read_csv(made / "comparison.csv").set_index(["design", "quantity"])
    level = rows.loc[("matched", "log_error")]
    # The models differ by their distribution alone: a factor 1.2 in error.
    assert level["difference"] == pytest.approx(np.log(1.2), abs=1e-6) and level["n_a"] == 3
    assert rows.loc[("matched", "exponent")]["status"] == "DEGENERATE"
    assert rows.loc[("all_models", "exponent")]["status"] == "DEGENERATE"


def test_choice_prefers_the_true_form(made):
    rows = pd.read_csv(made / "model_choice.csv")
    rows = rows[rows["family"] == "icons"]
    assert list(rows.loc[rows["best_aicc"], "form"]) == ["three_variable"]
    assert set(rows.loc[rows["best_heldout"], "form"]) == {"three_variable"}
    assert (rows.loc[rows["form"] == "power", "delta_aicc"].dropna() > 10).all()


def test_heldout_and_sensitivity_tables(made):
    heldout, choices = pd.read_csv(made / "heldout.csv"), pd.read_csv(made / "sensitivity.csv")
    law = heldout[(heldout["form"] == "three_variable") & (heldout["estimator"] == "log_ls")]
    assert len(law) == 7 and law["covered"].mean() >= 0.7
    assert set(choices["design"]) >= {"bins", "all_models", "pareto_front", "one_subset", "leave_one_out_front"}
    assert set(choices.loc[choices["design"] == "bins", "setting"].astype(int)) == set(range(3, 11))


def test_the_same_tables_twice(made, clip_scaling):
    names = ["laws", "heldout", "left_out", "comparison", "model_choice", "sensitivity"]
    before = [(made / f"{name}.csv").read_bytes() for name in names]
    assert clip_scaling("fit", "--study", made.parents[1] / "made.yaml").code == 0
    assert [(made / f"{name}.csv").read_bytes() for name in names] == before


def test_unknown_form_and_study_are_sentences(made, clip_scaling):
    assert "unknown form 'no'" in clip_scaling("fit", "--study", made.parents[1] / "made.yaml", "--form", "no").err
    assert "unknown study 'nowhere'" in clip_scaling("fit", "--study", "nowhere").err


def test_rules_are_those_of_the_design():
    assert OWN == Rules(min_points=6, min_decades=1.0, chance_factor=10.0)


def test_split_takes_the_largest_compute():
    points = ladder()
    mask = split_largest(points, 0.2)
    assert mask.sum() == 7 and points.compute[mask].min() >= points.compute[~mask].max()
    assert hold_out(points.take(np.arange(5)), "power") is None


def test_pareto_front_has_no_beaten_model():
    points = ladder(0.2)
    mask = pareto(points)
    for k in range(len(points)):
        beaten = ((points.compute <= points.compute[k]) & (points.error < points.error[k])).any()
        assert mask[k] == (not beaten)


def test_pairs_are_of_equal_size_and_budget():
    a = ladder()
    b = Points(("p", "q"), a.compute[[4, 20]], a.error[[4, 20]] * 1.1, a.gmacs[[4, 20]], a.samples[[4, 20]] * 1.02, np.full(2, 4.1e8))
    i, j = compare.pair(a, b)
    assert (a.gmacs[i] == b.gmacs[j]).all() and (a.unique[i] == 4e8).all() and list(j) == [0, 1]
    far = Points(("p",), b.compute[:1], b.error[:1], b.gmacs[:1], b.samples[:1] * 2, b.unique[:1])
    assert len(compare.pair(a, far)[0]) == 0


def test_difference_of_exponents_is_found():
    points = ladder()
    steep = Points(points.names, points.compute, points.error * (points.compute / 1e10) ** -0.05)
    found = compare.unpaired(points, steep, "power", "all_models", draws=500)
    assert found.difference == pytest.approx(-0.05, abs=1e-9) and found.value_b < found.value_a
    few = points.take(np.array([0, 16, 35]))
    assert "t" in compare.unpaired(points, few, "power", "all_models", draws=500).interval_method


def test_intervals_of_differences_cover():
    """Two families of one law: 95 % intervals hold no difference in about 95 of 100 (150 pairs: 90 to 99)."""
    hits = []
    for seed in range(150):
        rng, families = np.random.default_rng(seed), []
        for models in (10, 20):
            compute = 1e10 * 10 ** rng.uniform(0, 2.5, models)
            families.append(Points(("m",) * models, compute, 8 * compute**-0.12 * np.exp(0.04 * rng.standard_normal(models))))
        found = compare.unpaired(*families, "power", "all_models", draws=400)
        hits.append(found.low <= 0 <= found.high)
    assert 0.90 <= np.mean(hits) <= 0.993


def test_aicc_by_hand():
    assert choice.aicc(2.0, 10, 2) == pytest.approx(10 * np.log(0.2) + 6 + 24 / 6)
    assert choice.aicc(2.0, 4, 2) == np.inf


def test_sensitivity_of_an_exact_law_is_none():
    points = ladder(form="power")
    rows = pd.DataFrame(sensitivity.choices(points))
    whole = rows[~rows["design"].isin(["bins", "leave_one_out_front"])]
    assert whole["alpha"].to_numpy() == pytest.approx(-0.1, abs=1e-9)
