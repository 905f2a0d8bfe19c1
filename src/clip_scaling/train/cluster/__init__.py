"""Training with open_clip's own trainer under torchrun, submitted through submitit to SLURM or to this machine."""


def run_study(study, args) -> int:
    """Train a study of engine `cluster`: `args` are those of `clip-scaling train`. Returns 0, or 3 if runs are left.

    `--dry-run` prints the commands, GPU-hours and energy, and spends nothing. Raises UserError for a study that
    open_clip's trainer cannot honour.
    """
    from .plan import plans
    from .report import cost_table, print_plans

    chosen = plans(study, getattr(args, "runs", None))
    if args.dry_run and getattr(args, "table", False):
        print(cost_table(chosen), end="")
        return 0
    if args.dry_run:
        return print_plans(study, chosen, as_json=getattr(args, "json", False))
    from .submit import train

    return train(study, chosen, executor=getattr(args, "executor", None) or "slurm",
                 at_a_time=getattr(args, "workers", None) or 1, wait=not getattr(args, "no_wait", False),
                 allow_pipe=getattr(args, "allow_pipe", False))
