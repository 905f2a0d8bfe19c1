"""Zero-shot and retrieval equal CLIP_benchmark's on two folders of each kind and two models."""

import pytest

pytest.importorskip("clip_benchmark")


def reference(run_folder, data, kind: str) -> dict[str, float]:
    """CLIP_benchmark's metrics by its own loader, transform and functions, without mixed precision."""
    from clip_benchmark.datasets.builder import build_wds_dataset, get_dataset_collate_fn
    from clip_benchmark.metrics import zeroshot_classification, zeroshot_retrieval
    from torch.utils.data import DataLoader

    from clip_scaling.train.models import load_model
    from clip_scaling.train.openclip import open_clip

    clip, tokenizer = load_model(run_folder)
    noted = getattr(clip.visual, "preprocess_cfg", None) or {"size": clip.visual.image_size}
    transform = open_clip.transform.image_transform_v2(open_clip.transform.PreprocessCfg(**noted), is_train=False)
    dataset = build_wds_dataset("set", transform, split="test", data_dir=str(data))
    if kind == "retrieval":
        loader = DataLoader(dataset.batched(64, collation_fn=_captions), batch_size=None)
        return zeroshot_retrieval.evaluate(clip, loader, tokenizer, "cpu", amp=False, recall_k_list=[1, 5, 10])
    loader = DataLoader(dataset.batched(64), batch_size=None)
    loader.dataset.classes, loader.dataset.templates = dataset.classes, dataset.templates
    return zeroshot_classification.evaluate(
        clip, loader, tokenizer, dataset.classes, dataset.templates, "cpu", amp=False
    )


def _captions(batch):
    import torch

    return torch.stack([image for image, _ in batch]), [texts for _, texts in batch]


def ours(run_folder, data) -> dict[str, float]:
    from clip_scaling.evaluate.command import evaluate_model

    return {row["metric"]: row["value"] for row in evaluate_model(str(run_folder), None, [data], "auto")}


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("options", [{}, {"items": 60, "classes": 6, "seed": 3, "size": 45}])
def test_zeroshot_equals(run_folders, tmp_path, make, which, options):
    data = make.classification_folder(tmp_path / "set", **options)
    expected, found = reference(run_folders[which], data, "classification"), ours(run_folders[which], data)
    assert expected["acc1"] > 0
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("options", [{}, {"items": 130, "seed": 5}])
def test_retrieval_equals(run_folders, tmp_path, make, which, options):
    data = make.retrieval_folder(tmp_path / "set", **options)
    expected, found = reference(run_folders[which], data, "retrieval"), ours(run_folders[which], data)
    assert len(found) == 6
    assert found == pytest.approx(expected, abs=1e-6)
