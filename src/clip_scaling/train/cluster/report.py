"""What a study would cost: the command, GPU-hours and energy of each run, before anything is spent."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path

from ...core import paths
from ...core.study import Study
from .arguments import WORKER, Places, torchrun_arguments, worker_arguments
from .plan import Plan


def shell_command(study: Study, plan: Plan, places: Places) -> str:
    """The run's command, as a shell on each of its nodes would take it (HEAD_NODE, JOB_ID: known when it starts)."""
    meeting = torchrun_arguments(plan.nodes, plan.gpus_per_node)
    return shlex.join(["torchrun", *meeting, "-m", "--", WORKER, *worker_arguments(study, plan, places)])


def places_of(study: Study, plan: Plan) -> Places:
    """Places as a dry run names them; a real run keeps its logs in a folder named by a digest of its content."""
    folder = Path("cluster") / plan.study
    manifest = paths.subsets(study.study) / f"{plan.subset}.json"
    return Places(manifest, folder / "models" / f"{plan.architecture}.json", folder / "logs")


def print_plans(study: Study, plans: list[Plan], *, as_json: bool = False) -> int:
    """Print each run's command and cost, then the sums; as one JSON object with `as_json`."""
    totals = {name: sum(getattr(plan, name) or 0 for plan in plans) for name in ("gpu_hours", "mwh")}
    unknown = [plan.run for plan in plans if plan.gpu_hours is None]
    if as_json:
        runs = [asdict(plan) | {"samples_seen": plan.samples_seen, "gpus": plan.gpus,
                                "command": shell_command(study, plan, places_of(study, plan))} for plan in plans]
        print(json.dumps({"study": study.study, "runs": runs, **totals, "without_throughput": unknown}, indent=1))
        return 0
    for plan in plans:
        print(f"# {plan.run}: {_cost(plan)}\n{shell_command(study, plan, places_of(study, plan))}\n")
    watts = study.train.cluster.watts_per_gpu
    print(f"# {len(plans)} runs: {totals['gpu_hours']:,.0f} GPU-hours, {totals['mwh']:,.2f} MWh at {watts:g} W a GPU")
    if unknown:
        print(f"# no throughput stated, not in the sum: {', '.join(unknown)}")
    missing = sorted({plan.subset for plan in plans if not places_of(study, plan).manifest.is_file()})
    if missing:
        print(f"# not drawn yet: {', '.join(missing)} (see `clip-scaling subset --help`)")
    return 0


def cost_table(plans: list[Plan]) -> str:
    """A Markdown table of what each run costs, and the sum."""
    lines = ["| run | GPUs | hours | GPU-hours | MWh |", "|---|---:|---:|---:|---:|"]
    for plan in plans:
        if plan.hours is None:
            lines.append(f"| {plan.run} | {plan.gpus:,} | not stated | not stated | not stated |")
        else:
            cost = f"{plan.hours:,.1f} | {plan.gpu_hours:,.0f} | {plan.mwh:,.2f}"
            lines.append(f"| {plan.run} | {plan.gpus:,} | {cost} |")
    if all(plan.hours is not None for plan in plans):
        hours, energy = sum(plan.gpu_hours for plan in plans), sum(plan.mwh for plan in plans)
        lines.append(f"| all {len(plans)} | | | {hours:,.0f} | {energy:,.2f} |")
    return "\n".join(lines) + "\n"


def _cost(plan: Plan) -> str:
    size = f"{plan.nodes} nodes x {plan.gpus_per_node} GPUs, batch {plan.batch:,}, {plan.samples_asked:,} samples"
    over = plan.samples_seen / plan.samples_asked - 1
    counted = f" (the trainer rounds up: {over:+.2%})" if over else ""
    if plan.hours is None:
        return f"{size}{counted}, throughput not stated"
    return f"{size}{counted}, {plan.hours:,.1f} h, {plan.gpu_hours:,.0f} GPU-hours, {plan.mwh:,.2f} MWh"
