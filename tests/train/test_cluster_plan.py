import argparse
import json

import pytest
from clip_scaling.core.errors import UserError
from clip_scaling.core.study import Study, load_study
from clip_scaling.train.cluster import run_study
from clip_scaling.train.cluster.plan import plans

# Paper, Table 18: GPU-hours of the 29 runs, in the study's order.
TABLE_18 = [
    836, 4181, 32953, 1063, 8912, 11177, 1121, 4954, 42307, 1900, 12518, 24032, 1713, 10736, 26009, 1822, 11675, 41726,
    7243, 20393, 90647, 6717, 46735, 124727, 7055, 53599, 122509, 229665, 109392,
]


@pytest.fixture(scope="module")
def laion():
    return load_study("laion")


def _with(study, **changes):
    content = study.model_dump()
    for place, value in changes.items():
        *folders, leaf = place.split("__")
        target = content
        for name in folders:
            target = target[int(name) if name.isdigit() else name]
        target[leaf] = value
    return Study.model_validate(content)


def _dry_run(study, capsys, **options):
    assert run_study(study, argparse.Namespace(dry_run=True, runs=None, **options)) == 0
    return capsys.readouterr().out


def test_gpu_hours_of_each_run_are_those_of_table_18(laion):
    assert [round(plan.gpu_hours) for plan in plans(laion)] == pytest.approx(TABLE_18, abs=1)


def test_a_dry_run_sums_to_table_18_within_two_percent(laion, capsys):
    totals = json.loads(_dry_run(laion, capsys, json=True))
    assert totals["gpu_hours"] == pytest.approx(1_058_318, rel=0.02)
    assert totals["mwh"] == pytest.approx(370.41, rel=0.02)
    assert len(totals["runs"]) == 29 and not totals["without_throughput"]


def test_commands_say_what_the_paper_trained(laion, capsys):
    out = _dry_run(laion, capsys)
    command = out.split("# ViT-L-14_LAION-2B_34B:")[1].split("\n")[1]
    assert command.startswith("torchrun --nnodes 96 --nproc-per-node 4 --rdzv-backend c10d")
    for words in ("--batch-size 224 ", "--lr 0.001 ", "--warmup 10000 ", "--train-num-samples 200000000 ",
                  "--epochs 160 ", "--precision amp_bfloat16 ", "--wd 0.2 ", "--beta2 0.98 ", "--local-loss ",
                  "--gather-with-grad", "--dataset-resampled", "--grad-checkpointing", "--resume latest "):
        assert words in command + " "
    assert "--grad-clip-norm" not in out


def test_every_argument_is_one_that_open_clip_takes(laion):
    from clip_scaling.train.cluster.arguments import open_clip_arguments
    from clip_scaling.train.openclip import open_clip  # noqa: F401 - torchvision first
    from open_clip_train.params import parse_args

    for plan in plans(laion):
        args = parse_args(open_clip_arguments(laion, plan, "logs"))
        assert args.batch_size * plan.gpus == plan.batch and args.warmup == plan.warmup_steps
        assert args.train_num_samples * args.epochs == plan.samples_asked


def test_steps_are_counted_as_the_trainer_counts_them(laion):
    plan = plans(_with(laion, train__cluster__workers=3, train__runs=[
        {"architecture": "ViT-B-32", "subset": "LAION-80M", "samples_seen": 2000, "samples_per_epoch": 1000,
         "epochs": 2, "batch_size": 64, "gpus": 2}]))[0]
    assert (plan.steps, plan.samples_seen) == (18, 18 * 64 * 2)  # 1000/64 = 15.6 -> 16 -> a multiple of 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train__architectures__0__name": "ViT-B-23", "train__runs": []},
         "unknown architecture 'ViT-B-23'; known are open_clip's names and our own, such as .*ViT-B-32"),
        ({"train__augment_shift": 2}, "augment_shift is 2, which open_clip's trainer cannot do"),
        ({"train__architectures__0__token_embedding_lr_scale": 5.0}, "token_embedding_lr_scale 5"),
        ({"train__runs__0__gpus": 127}, "no multiple of 127 GPUs; take 32766"),
        ({"train__runs__0__gpus": 2, "train__cluster__gpus_per_node": 1}, None),
        ({"train__runs__0__gpus": 128, "train__cluster__gpus_per_node": 3}, "do not fill nodes of 3; take 129"),
        ({"train__runs__0__samples_seen": 100}, "are not 100 samples seen; write samples_seen: 2560013280"),
    ],
)
def test_what_the_trainer_cannot_honour_is_refused_before_anything_is_spent(laion, changes, said):
    if said is None:
        assert plans(_with(laion, **changes))[0].nodes == 2
        return
    with pytest.raises(UserError, match=said):
        plans(_with(laion, **changes))


def test_an_epoch_larger_than_its_subset_is_noted(laion, capsys):
    noted = [line for line in _dry_run(laion, capsys).splitlines() if "some are seen twice" in line]
    assert len(noted) == 3 and "an epoch of 413,000,000 from 407,332,084 pairs" in noted[0]


def test_an_unknown_run_is_named(laion):
    with pytest.raises(UserError, match="unknown run 'x' in study laion"):
        plans(laion, ["x"])


def test_the_chapter_states_the_costs_that_a_dry_run_prints(laion, root):
    from clip_scaling.train.cluster.report import cost_table

    chapter = (root / "book" / "chapters" / "paper_scale.md").read_text(encoding="utf-8")
    block = chapter.split("--table -->\n")[1].split("<!-- end of costs -->")[0]
    assert block == cost_table(plans(laion))
