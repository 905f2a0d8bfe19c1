"""The table of the paper's sets: complete, consistent with the published scores, and compared with a user's folder."""

import csv

from clip_scaling.evaluate.folder import open_folder
from clip_scaling.evaluate.paper_sets import differences, paper_sets

AVERAGES = {"imagenet_robustness", "vtab", "vtab+"}


def test_every_set_of_the_published_scores_is_listed(root):
    with open(root / "data/published/evaluation_sets.csv", newline="") as file:
        published = {row["dataset"]: row for row in csv.DictReader(file) if row["dataset"] not in AVERAGES}
    listed = {one.dataset: one for one in paper_sets()}
    assert set(listed) == set(published) and len(listed) == 38
    for name, one in listed.items():
        assert one.n_items == (int(published[name]["test_size"]) if published[name]["test_size"] else None), name
        assert one.classes_source and one.templates_source


def test_folder_that_differs_from_the_paper_is_said(tmp_path, make):
    folder = open_folder(make.classification_folder(tmp_path / "wds_vtab-kitti_closest_vehicle_distance", classes=4))
    assert [sentence.split(": ")[1].split(",")[0] for sentence in differences(folder, 90)] == ["90 items", "3 templates"]
    assert len(differences(folder, 711)) == 1
    assert differences(open_folder(make.classification_folder(tmp_path / "mine")), 90) == []


def test_command_lists_them(clip_scaling):
    ended = clip_scaling("evaluate", "--paper-sets")
    assert ended.code == 0 and len(ended.out.splitlines()) == 38
    assert "wds_vtab-caltech101" in ended.out
