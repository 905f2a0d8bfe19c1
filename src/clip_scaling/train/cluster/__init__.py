"""Training with open_clip's own trainer under torchrun: on SLURM through submitit, or on this machine for a trial."""


def run_study(study, args) -> int:
    """Train a study of engine `cluster`: `args` are those of `clip-scaling train`. Returns 0, or 3 if runs are left.

    `--dry-run` prints the commands, GPU-hours and energy, and spends nothing. Raises UserError for a study that
    open_clip's trainer cannot honour.
    """
    from ...core.errors import UserError
    from .plan import plans
    from .report import cost_table, print_plans

    as_json, table = getattr(args, "json", False), getattr(args, "table", False)
    if as_json and table or (as_json or table) and not args.dry_run:
        raise UserError("--json and --table are two forms of --dry-run", mend="give --dry-run with one of them")
    given, allow_pipe = getattr(args, "study", None), getattr(args, "allow_pipe", False)
    chosen = plans(study, getattr(args, "runs", None))
    if table:
        print(cost_table(chosen), end="")
        return 0
    if args.dry_run:
        return print_plans(study, chosen, as_json=as_json, given=given, allow_pipe=allow_pipe)
    from .submit import train

    workers = getattr(args, "workers", None)
    return train(study, chosen, executor=getattr(args, "executor", None) or "slurm",
                 at_a_time=1 if workers is None else workers, wait=not getattr(args, "no_wait", False),
                 allow_pipe=allow_pipe, given=given)
