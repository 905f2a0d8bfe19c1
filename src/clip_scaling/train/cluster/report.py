"""What a study would cost: the command, GPU-hours and energy of each run, before anything is spent.

Where a run's subset is drawn, its model configuration is written, so that the command can be run as printed.
"""

import json
import shlex
from dataclasses import asdict, dataclass

from ...core import paths
from ...core.errors import UserError
from ...core.study import Study
from .arguments import WORKER, Places, torchrun_arguments, worker_arguments
from .collect import expect_shards, prepare
from .plan import Plan


@dataclass(frozen=True)
class Command:
    """A run's command, as a shell on each of its nodes would take it, and why it cannot be run yet (else None)."""

    line: str
    lacks: str | None


def command_of(study: Study, plan: Plan, *, given: str | None = None, allow_pipe: bool = False) -> Command:
    """The command of a run (HEAD_NODE, JOB_ID: known when it starts)."""
    places = lacks = None
    try:
        places = prepare(study, plan, given=given).places
        expect_shards(places.manifest, allow_pipe)
    except UserError as error:
        places, lacks = places or _places_to_be(study, plan), error.sentence
    words = worker_arguments(study, plan, places, allow_pipe=allow_pipe)
    meeting = torchrun_arguments(plan.nodes, plan.gpus_per_node)
    return Command(shlex.join(["torchrun", *meeting, "-m", "--", WORKER, *words]), lacks)


def _places_to_be(study: Study, plan: Plan) -> Places:
    """Places before a subset is drawn: the folder DIGEST is named by the content of the subset's manifest."""
    folder = paths.cache() / "cluster" / "DIGEST"
    manifest = paths.subsets(study.study) / f"{plan.subset}.json"
    return Places(manifest, folder / "model" / f"{plan.architecture}.json", folder)


def print_plans(study: Study, plans: list[Plan], *, as_json: bool = False, given: str | None = None,
                allow_pipe: bool = False) -> int:
    """Print each run's command and cost, then the sums; as one JSON object with `as_json`."""
    totals = {name: sum(getattr(plan, name) or 0 for plan in plans) for name in ("gpu_hours", "mwh")}
    unknown = [plan.run for plan in plans if plan.gpu_hours is None]
    commands = [command_of(study, plan, given=given, allow_pipe=allow_pipe) for plan in plans]
    if as_json:
        runs = [asdict(plan) | {"samples_seen": plan.samples_seen, "gpus": plan.gpus, "command": command.line,
                                "lacks": command.lacks} for plan, command in zip(plans, commands, strict=True)]
        print(json.dumps({"study": study.study, "runs": runs, **totals, "without_throughput": unknown}, indent=1))
        return 0
    for plan, command in zip(plans, commands, strict=True):
        print(f"# {plan.run}: {_cost(plan)}\n{command.line}\n")
    watts = study.train.cluster.watts_per_gpu
    print(f"# {len(plans)} runs: {totals['gpu_hours']:,.0f} GPU-hours, {totals['mwh']:,.2f} MWh at {watts:g} W a GPU")
    if unknown:
        print(f"# no throughput stated, not in the sum: {', '.join(unknown)}")
    for lacks in dict.fromkeys(command.lacks for command in commands if command.lacks):
        print(f"# cannot be run yet: {lacks}")
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
    if plan.samples_per_epoch > plan.unique_samples:
        counted += f", an epoch of {plan.samples_per_epoch:,} from {plan.unique_samples:,} pairs: some are seen twice"
    if plan.hours is None:
        return f"{size}{counted}, throughput not stated"
    return f"{size}{counted}, {plan.hours:,.1f} h, {plan.gpu_hours:,.0f} GPU-hours, {plan.mwh:,.2f} MWh"
