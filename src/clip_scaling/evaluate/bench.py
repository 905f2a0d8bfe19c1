"""`clip-scaling bench evaluate`: zero-shot and retrieval against CLIP_benchmark, same models, sets and machine.

As library calls: models in memory, one thread, each set scored for one model after another; ours from an empty cache,
decoding included. As one command: a process with a thread a core that loads ten checkpoints and scores each on both
sets; CLIP_benchmark with a loader process of its own beside it. Weights are drawn at random: they change no time. Fine print: a single
command is bounded by the import of torch and open_clip, which both need.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from ..core import paths
from ..core.errors import UserError
from ..core.files import write_json
from ..core.params import default_study
from ..core.study import Study, load_study

_THEIRS = """
import sys
from clip_scaling.train.openclip import open_clip
import torch
from clip_benchmark import cli
config, sets, output, zeroshot, retrieval, *checkpoints = sys.argv[1:]
open_clip.add_model_config(config)
shared = ["--model", config.rsplit("/", 1)[-1].removesuffix(".json"), "--no_amp", "--num_workers", "1",
          "--dataset_root", sets + "/{dataset}", "--output", output + "/{pretrained}_{dataset}.json", "--quiet",
          "--recall_k", "1", "5", "10", "--pretrained", *checkpoints]
for task, data in (("zeroshot_classification", zeroshot), ("zeroshot_retrieval", retrieval)):
    sys.argv = ["clip_benchmark", "eval", "--task", task, "--dataset", "wds/" + data, *shared]
    cli.main()
"""


@dataclass(frozen=True)
class Compared:
    """Wall and processor seconds of both sides, and the ratio of the wall times (theirs / ours)."""

    what: str
    ours: float
    theirs: float
    ours_processor: float
    theirs_processor: float

    @property
    def ratio(self) -> float:
        return self.theirs / self.ours


def add_arguments(parser) -> None:
    parser.add_argument("--study", help="study whose evaluation sets are used (default: params.yaml's)")
    parser.add_argument("--architecture", help="default: the study's last")
    parser.add_argument("--checkpoints", type=int, default=10, help="of the command (default: 10)")
    parser.add_argument("--json", action="store_true", help="print the measurements as JSON")


def run(args) -> None:
    study = load_study(args.study or default_study())
    folder = Path(tempfile.mkdtemp(prefix="clip-bench-"))
    try:
        found = compare(study, args.architecture or study.train.architectures[-1].name, args.checkpoints, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if args.json:
        print(json.dumps([{**asdict(one), "ratio": one.ratio} for one in found], indent=1))
        return
    for one in found:
        print(f"{one.what:58} ours {one.ours:7.2f} s  CLIP_benchmark {one.theirs:7.2f} s  ratio {one.ratio:5.1f}"
              f"  (processor {one.ours_processor:.2f} s, {one.theirs_processor:.2f} s)")


def compare(study: Study, architecture: str, checkpoints: int, folder: Path) -> list[Compared]:
    """Measure both sides; raises RuntimeError where their numbers differ by more than 1e-6."""
    try:
        import clip_benchmark  # noqa: F401
    except ImportError:
        raise UserError("clip-benchmark is not installed", mend="pip install clip-benchmark requests") from None
    names = (study.evaluate.zeroshot[0], study.evaluate.retrieval[0])
    sets = [_test_only(paths.pool(study.study) / "evaluation" / name, folder / "sets" / name) for name in names]
    runs = [_checkpoint(study, architecture, seed, folder / "runs" / f"seed{seed}") for seed in range(checkpoints)]
    return [*_library(runs[:3], sets, folder), _command(runs, sets, folder), _command(runs[:1], sets, folder)]


def _test_only(source: Path, target: Path) -> Path:
    """The set without its other splits: CLIP_benchmark scores `test` alone."""
    if not (source / "test").is_dir():
        raise UserError("is missing", where=source, mend="run `clip-scaling prepare` first")
    target.mkdir(parents=True)
    for part in (*source.glob("*.txt"), source / "test"):
        (target / part.name).symlink_to(part.resolve())
    return target


def _checkpoint(study: Study, architecture: str, seed: int, folder: Path) -> Path:
    from ..train import models

    merges = paths.pool(study.study) / "tokenizer" / "bpe.txt.gz"
    config = models.model_config(models.architecture(architecture), models.load_tokenizer(merges))
    models.save_model(models.build_model(config, seed=seed), config, merges, folder)
    return folder


def _library(runs: list[Path], sets: list[Path], folder: Path) -> list[Compared]:
    import torch

    from ..train.models import load_model
    from .model import from_run

    torch.set_num_threads(1)
    ours, theirs = [from_run(run) for run in runs], [load_model(run) for run in runs]
    _their_scores(*theirs[0], sets)  # imports and first calls, on both sides unmeasured
    _in_cache(folder / "warm", lambda: _our_scores(ours[0], sets))
    expected, found = {}, {}
    their_first = _measure(lambda: expected.update({0: _their_scores(*theirs[0], sets)}))
    our_first = _in_cache(folder / "cold", lambda: _measure(lambda: found.update({0: _our_scores(ours[0], sets)})))

    def the_rest(one: Callable, models: list, into: dict) -> None:
        for index, model in enumerate(models[1:], start=1):
            into[index] = one(model)

    their_rest = _measure(lambda: the_rest(lambda model: _their_scores(*model, sets), theirs, expected))
    our_rest = _in_cache(folder / "cold", lambda: _measure(
        lambda: the_rest(lambda model: _our_scores(model, sets), ours, found)))
    _agree(found, expected)
    rest = len(runs) - 1
    return [
        Compared("library calls, first model, empty cache", our_first[0], their_first[0], our_first[1], their_first[1]),
        Compared(f"library calls, {rest} further models", our_rest[0], their_rest[0], our_rest[1], their_rest[1]),
    ]


def _our_scores(model, sets: list[Path]) -> dict[str, float]:
    from . import tasks
    from .folder import open_folder

    scores = tasks.zeroshot(model, open_folder(sets[0])) + tasks.retrieval(model, open_folder(sets[1]))
    return {score.metric: score.value for score in scores}


def _their_scores(clip, tokenizer, sets: list[Path]) -> dict[str, float]:
    from clip_benchmark.datasets.builder import build_wds_dataset
    from clip_benchmark.metrics import zeroshot_classification, zeroshot_retrieval
    from torch.utils.data import DataLoader

    from ..train.openclip import open_clip

    transform = open_clip.image_transform(clip.visual.image_size, is_train=False)
    data = [build_wds_dataset(path.name, transform, split="test", data_dir=str(path)) for path in sets]
    loaders = [DataLoader(one.batched(64), batch_size=None) for one in data]
    loaders[0].dataset.classes = data[0].classes
    with open(os.devnull, "w") as nowhere:
        said, sys.stderr = sys.stderr, nowhere  # progress bars a class and a batch
        try:
            return {
                **zeroshot_classification.evaluate(
                    clip, loaders[0], tokenizer, data[0].classes, data[0].templates, "cpu", amp=False),
                **zeroshot_retrieval.evaluate(clip, loaders[1], tokenizer, "cpu", amp=False, recall_k_list=[1, 5, 10]),
            }
        finally:
            sys.stderr = said


def _in_cache(folder: Path, call: Callable):
    before = os.environ.get("CLIP_SCALING_CACHE")
    os.environ["CLIP_SCALING_CACHE"] = str(folder)
    try:
        return call()
    finally:
        if before is None:
            del os.environ["CLIP_SCALING_CACHE"]
        else:
            os.environ["CLIP_SCALING_CACHE"] = before


def _measure(call: Callable) -> tuple[float, float]:
    """Wall and processor seconds, children included."""

    def processor() -> float:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used)

    wall, before = time.perf_counter(), processor()
    call()
    return time.perf_counter() - wall, processor() - before


def _agree(found: dict, expected: dict) -> None:
    for index, metrics in expected.items():
        for name, value in metrics.items():
            if abs(found[index][name] - value) > 1e-6:
                raise RuntimeError(f"model {index}: {name} is {found[index][name]}, CLIP_benchmark's {value}")


def _command(runs: list[Path], sets: list[Path], folder: Path) -> Compared:
    config = json.loads((runs[0] / "model.json").read_text())
    config["text_cfg"]["tokenizer_kwargs"] = {"bpe_path": str(runs[0] / "bpe.txt.gz")}
    name = folder / "benched-ViT.json"
    write_json(name, config)
    script = folder / "theirs.py"
    script.write_text(_THEIRS)
    results = folder / f"results{len(runs)}"
    results.mkdir()
    weights = []
    for run in runs:  # CLIP_benchmark names its results by the file
        weights.append(folder / f"{run.name}.safetensors")
        if not weights[-1].exists():
            weights[-1].symlink_to(run / "model.safetensors")
    environment = {**os.environ, "OMP_NUM_THREADS": str(os.cpu_count()), "CLIP_SCALING_CACHE": str(folder / f"command{len(runs)}")}
    words = [word for run in runs for word in ("--model", str(run))]
    data = [word for path in sets for word in ("--data", str(path))]
    printed = {}

    def ours() -> None:
        command = [sys.executable, "-m", "clip_scaling.cli", "evaluate", *words, *data, "--json"]
        printed["ours"] = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    def theirs() -> None:
        arguments = [name, folder / "sets", results, *(path.name for path in sets), *weights]
        command = [sys.executable, str(script), *map(str, arguments)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        if ended.returncode:
            raise RuntimeError(f"CLIP_benchmark failed:\n{ended.stderr[-2000:]}")

    their_time, our_time = _measure(theirs), _measure(ours)
    _agree(*_read(printed["ours"], runs, results))
    what = f"one command, {len(runs)} checkpoint{'s' if len(runs) > 1 else ''}, imports included"
    return Compared(what, our_time[0], their_time[0], our_time[1], their_time[1])


def _read(printed: str, runs: list[Path], results: Path) -> tuple[dict, dict]:
    found: dict[str, dict] = {run.name: {} for run in runs}
    for row in json.loads(printed):
        found[row["model"]][row["metric"]] = row["value"]
    expected: dict[str, dict] = {run.name: {} for run in runs}
    for path in results.glob("*.json"):
        run = path.name.split(".", 1)[0].split("_")[0]
        expected[run] |= json.loads(path.read_text())["metrics"]
    if not all(expected.values()):
        raise RuntimeError("CLIP_benchmark gave no scores for a checkpoint")
    return found, expected
