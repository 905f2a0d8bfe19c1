"""`clip-scaling bench train`: the embedded engine against open_clip_train, same models, data and machine.

A small study is trained twice, two runs at a time with one thread each: by this package from an empty cache (decoding
the shards included), and by open_clip_train 3.3 as it comes, one process a run. Samples per second are those within a
run, start-up left out; wall and processor time are those of the whole study.

`--mfu` and `--spread` measure a device instead: its throughput, and how far two runs of one specification differ on it.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from ..core import paths
from ..core.files import write_json
from ..core.json_files import read_json
from ..core.params import default_study
from ..core.study import Run, Study, load_study
from .models import load_tokenizer, model_config
from .schedule import cost

_OURS = """
import sys
from clip_scaling.core.study import load_study
from clip_scaling.train.bench import specs
from clip_scaling.train.schedule import train_all
if __name__ == "__main__":
    train_all(specs(load_study(sys.argv[1]), int(sys.argv[2])), workers=int(sys.argv[3]))
"""

_THEIRS = """
import json, sys, time
from clip_scaling.train.openclip import open_clip
from open_clip_train import main as trainer
open_clip.add_model_config(sys.argv[1])
inner, seconds = trainer.train_one_epoch, []
def timed(*args, **kwargs):
    begun = time.perf_counter()
    inner(*args, **kwargs)
    seconds.append(time.perf_counter() - begun)
trainer.train_one_epoch = timed
trainer.main(sys.argv[3:])
open(sys.argv[2], "w").write(json.dumps(sum(seconds)))
"""


@dataclass(frozen=True)
class Measured:
    """A study trained once: wall and processor seconds, and samples per second within each run."""

    wall: float
    processor: float
    samples_per_second: dict[str, float]


def add_arguments(parser) -> None:
    parser.add_argument("--study", help="study whose towers and largest subset are used (default: params.yaml's)")
    parser.add_argument("--samples", type=int, default=102_400, help="samples seen by the longer runs (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="runs at a time")
    parser.add_argument("--mfu", metavar="ARCHITECTURE", help="instead: bf16 throughput on one GPU, full-size input")
    parser.add_argument("--batch-size", type=int, default=1024, help="with --mfu (default: %(default)s)")
    parser.add_argument("--spread", action="store_true", help="instead: how far two runs of one specification differ on a GPU")
    parser.add_argument("--device", help="with --mfu and --spread (default: cuda)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements here, too")


def run(args) -> None:
    """Measure and print; with `--json`, write the measurements to a file, too."""
    if args.mfu:
        return _mfu(args)
    if args.spread:
        return _spread(args)
    study = load_study(args.study or default_study())
    with tempfile.TemporaryDirectory(prefix="clip-scaling-bench-") as folder:
        ours = _ours(study, args, Path(folder))
        theirs = _theirs(study, args, Path(folder))
    print(f"{'run':<34}{'ours':>10}{'open_clip':>12}  samples/s")
    for name, speed in ours.samples_per_second.items():
        other = theirs.samples_per_second[name]
        print(f"{name:<34}{speed:>10,.0f}{other:>12,.0f}  {speed / other:.1f} x")
    print(f"{'whole study, wall seconds':<34}{ours.wall:>10.1f}{theirs.wall:>12.1f}  {theirs.wall / ours.wall:.1f} x")
    ratio = theirs.processor / ours.processor
    print(f"{'whole study, processor seconds':<34}{ours.processor:>10.1f}{theirs.processor:>12.1f}  {ratio:.1f} x")
    if args.json:
        write_json(args.json, {"ours": asdict(ours), "open_clip_train": asdict(theirs)})


def _mfu(args) -> None:
    """Throughput of an architecture on synthetic input, and its share of the device's dense bf16 peak."""
    from .device import pick_device
    from .throughput import measure_mfu, peak_flops

    device = pick_device(args.device, "bf16")
    speed, share = measure_mfu(args.mfu, batch_size=args.batch_size, steps=20, device=device)
    print(f"{args.mfu}, batch {args.batch_size}, {device}: {speed:,.1f} samples/s")
    if share is not None:
        import torch

        name = torch.cuda.get_device_name(device)
        print(f"MFU {100 * share:.1f} % of {peak_flops(name) / 1e12:.0f} TFLOP/s ({name}, dense bf16)")


@dataclass(frozen=True)
class Spread:
    """How far two runs of one specification differ: in weights, in the last losses, and in how many weights at all."""

    largest: float
    norm: float
    loss: float
    differing: float


def _spread(args) -> None:
    """Train the study's smallest tower twice, for `--samples`, and print the difference."""
    from .device import pick_device

    study = load_study(args.study or default_study())
    device = pick_device(args.device, "bf16")
    spec = min(specs(study, args.samples), key=lambda spec: (cost(spec), spec.run))
    found = measure_spread(spec, device)
    print(f"{spec.run}, {spec.samples_seen:,} samples seen, {spec.precision}, twice on {device}: "
          f"{100 * found.differing:.3g} % of the weights differ, by {found.largest:.3g} at most, "
          f"{found.norm:.3g} of their norm; the mean loss of the last tenth by {found.loss:.3g}")
    if args.json:
        write_json(args.json, {"spec": spec.run, "device": device, **asdict(found)})


def measure_spread(spec, device: str) -> Spread:
    """Train `spec` twice on a device, with the engine of a GPU and from the beginning, and compare the ends."""
    import numpy as np
    import torch

    from .resident import ResidentPool, ResidentSession

    ends = []
    with tempfile.TemporaryDirectory(prefix="clip-scaling-spread-") as empty:
        for _ in range(2):
            session = ResidentSession(spec, ResidentPool(device), checkpoints=Path(empty))
            session.advance(spec.steps)
            session.check()
            weights = torch.cat([value.detach().flatten().double().cpu() for value in session.optimizer.values.values()])
            ends.append((weights, float(np.mean(session.losses[-max(1, spec.steps // 10):]))))
    (one, loss), (other, other_loss) = ends
    differences = (one - other).abs()
    return Spread(
        largest=differences.max().item(), norm=(differences.norm() / one.norm()).item(), loss=abs(loss - other_loss),
        differing=(differences > 0).double().mean().item(),
    )


def specs(study: Study, samples: int) -> list:
    """Each tower of the study on its largest subset, for `samples` and a quarter of them."""
    from .spec import run_spec

    subset = max(study.subset.subsets, key=lambda entry: entry.samples).name
    return [
        run_spec(study, Run(architecture=entry.name, subset=subset, samples_seen=seen))
        for entry in study.train.architectures for seen in (samples, samples // 4)
    ]


def _measure(work) -> tuple[float, float]:
    """Wall seconds of `work()`, and processor seconds of the processes that it started and waited for."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    work()
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _ours(study: Study, args, folder: Path) -> Measured:
    environment = {
        **os.environ, "CLIP_SCALING_CACHE": str(folder / "cache"), "CLIP_SCALING_ROOT": str(paths.project_root()),
    }
    script = folder / "ours.py"
    script.write_text(_OURS)
    command = [sys.executable, str(script), args.study or default_study(), str(args.samples), str(args.workers)]
    wall, processor = _measure(lambda: subprocess.run(command, env=environment, check=True))
    speeds = {}
    for spec in specs(study, args.samples):
        timing = read_json(folder / "cache" / "runs" / spec.digest / "timing.json")
        speeds[spec.run] = timing["samples_per_second"]
    return Measured(wall, processor, speeds)


def _theirs(study: Study, args, folder: Path) -> Measured:
    wanted = sorted(specs(study, args.samples), key=cost, reverse=True)

    def study_of_processes() -> None:
        with ThreadPoolExecutor(args.workers) as pool:
            list(pool.map(lambda spec: _one_of_theirs(spec, folder), wanted))

    wall, processor = _measure(study_of_processes)
    seconds = {spec.run: float((folder / f"{spec.run}.seconds").read_text()) for spec in wanted}
    return Measured(wall, processor, {spec.run: spec.samples_seen / seconds[spec.run] for spec in wanted})


def _one_of_theirs(spec, folder: Path) -> None:
    context = spec.config["text_cfg"]["context_length"]
    config = model_config(spec.config, load_tokenizer(Path(spec.tokenizer), context))
    config["text_cfg"]["tokenizer_kwargs"] = {"bpe_path": spec.tokenizer}
    model = folder / f"{spec.architecture}-{spec.samples_seen}.json"
    write_json(model, config)
    script = folder / "theirs.py"
    script.write_text(_THEIRS)
    arguments = {
        "model": model.stem, "train-data": "::".join(shard.path for shard in spec.shards),
        "train-num-samples": spec.samples_seen, "dataset-type": "webdataset", "batch-size": spec.batch_size,
        "epochs": 1, "precision": "fp32", "workers": 1, "lr": spec.learning_rate, "warmup": spec.warmup_steps,
        "beta1": spec.beta1, "beta2": spec.beta2, "wd": spec.weight_decay, "seed": spec.seed,
        "logs": folder / "logs", "name": spec.run, "device": "cpu",
    }
    words = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
    result = subprocess.run(
        [sys.executable, str(script), str(model), str(folder / f"{spec.run}.seconds"), *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )
    if result.returncode:
        raise RuntimeError(f"open_clip_train failed on {spec.run}:\n{result.stderr[-2000:]}")
