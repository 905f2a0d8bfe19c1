"""The ledger: every claim judged, each kind of check able to come out either way."""

import pytest

from clip_scaling.core.errors import UserError
from clip_scaling.published import frames
from clip_scaling.published.claims import ledger
from clip_scaling.published.claims.checks import cells, gain, little_gain, no_gain, number, numbers, unchecked
from clip_scaling.published.claims.model import Verdict, claim


@pytest.fixture(scope="module")
def judged(published):
    return ledger.judge(published)


def test_all_112_claims_come_to_the_declared_verdict(judged):
    assert judged.frame["id"].tolist() == list(range(1, 113))
    assert judged.unexpected == ()
    judged.raise_if_unexpected()
    assert judged.counts == {"reproduced": 92, "holds": 8, "weak": 2, "fails": 2, "inconsistent": 5, "not checkable": 3}


def test_what_was_recomputed_is_told_unless_there_is_nothing(judged):
    frame = judged.frame.set_index("id")
    assert (frame["recomputed"] != "").all()
    assert frame.loc[86, "recomputed"] == "1058318"
    assert frame.loc[87, "recomputed"] == "370.41"
    assert frame.loc[70, "recomputed"] == "75.03"
    assert frame.loc[91, "verdict"] == "fails"


def test_the_20_predictions_of_table_4_and_its_4_measurements_are_reproduced(judged):
    frame = judged.frame[judged.frame["id"].between(45, 68)]
    assert frame["claim"].str.startswith("predicted").sum() == 20
    assert (frame["recomputed"].astype(float) == frame["paper"].astype(float)).all()
    assert set(frame["verdict"]) == {"reproduced"}


def test_a_changed_verdict_stops_with_a_sentence(published):
    wrong = [one if one.id != 91 else claim(91, one.check, Verdict.HOLDS) for one in ledger.all_claims()]
    with pytest.raises(UserError, match="claim 91 is fails .* declared holds"):
        ledger.judge(published, wrong).raise_if_unexpected()


def test_a_claim_without_check_or_twice_is_refused(published):
    claims = ledger.all_claims()
    with pytest.raises(UserError, match="claim 112 has no check"):
        ledger.judge(published, claims[:-1])
    with pytest.raises(UserError, match="claim 1 is checked twice"):
        ledger.judge(published, [claims[0], *claims])


def _verdict(check, published, printed):
    return check(published, printed).verdict


@pytest.mark.parametrize(
    ("printed", "verdict"), [("75.20", Verdict.REPRODUCED), ("75.21", Verdict.FAILS), ("75.10", Verdict.FAILS)]
)
def test_number_compares_within_rounding(published, printed, verdict):
    assert _verdict(number(lambda p: 75.2049), published, printed) is verdict


def test_number_is_inconsistent_where_another_cell_of_the_paper_agrees(published):
    check = number(lambda p: 75.03, elsewhere=("4", "H/14 68B", "mscoco_image_r5"))
    assert _verdict(check, published, "75.10") is Verdict.INCONSISTENT
    assert (
        _verdict(number(lambda p: 74, elsewhere=("4", "H/14 68B", "mscoco_image_r5")), published, "75.10")
        is Verdict.FAILS
    )


def test_numbers_need_all_of_them(published):
    check = numbers([lambda p: 1.04, lambda p: 2.06], digits=1)
    assert _verdict(check, published, "1.0/2.1") is Verdict.REPRODUCED
    assert _verdict(check, published, "1.0/2.0") is Verdict.FAILS


def test_cells_need_all_of_a_table(published):
    assert _verdict(cells("19"), published, "29") is Verdict.REPRODUCED
    assert _verdict(cells("9"), published, "171") is Verdict.FAILS


def test_gains_are_judged_by_their_interval(published):
    less, more, near = "ViT-B-32_LAION-80M_3B", "ViT-H-14_LAION-2B_34B", "ViT-B-32_LAION-2B_3B"
    other = "ViT-B-32_LAION-400M_3B"
    target = frames.IMAGENET
    assert _verdict(gain(less, more, target), published, ">0") is Verdict.HOLDS
    assert _verdict(gain(more, less, target), published, ">0") is Verdict.FAILS
    assert _verdict(gain(other, near, target), published, ">0") is Verdict.WEAK
    assert _verdict(no_gain(more, less, target), published, "<=0") is Verdict.HOLDS
    assert _verdict(no_gain(less, more, target), published, "<=0") is Verdict.FAILS
    assert _verdict(no_gain(other, near, target), published, "<=0") is Verdict.WEAK
    clear = (less, more, target)
    assert _verdict(little_gain(other, near, target, clear=clear), published, "~0") is Verdict.HOLDS
    assert _verdict(little_gain(less, more, target, clear=(other, near, target)), published, "~0") is Verdict.FAILS


def test_a_run_without_the_score_is_named(published):
    with pytest.raises(UserError, match="'ViT-Z' has no score of ImageNet"):
        gain("ViT-Z", "ViT-H-14_LAION-2B_34B", frames.IMAGENET)(published, ">0")


def test_unchecked_stays_so(published):
    assert _verdict(unchecked("no data"), published, "84") is Verdict.NOT_CHECKABLE
