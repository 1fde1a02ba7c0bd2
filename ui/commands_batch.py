"""`mmgen batch` and `mmgen replay`: the commands; what they do stands in files of their names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ui import usage
from ui.command_frame import Adapter, Command, Device, Json, Model
from ui.commands_jobs import Address, EngineName, Gpus, StoreUrl, Workers, engine_of


def register(app: typer.Typer) -> None:
    """Add the commands of this part to the `mmgen` command."""
    app.command("batch", cls=Command, help="help.batch")(_batch)
    app.command("replay", cls=Command, help="help.replay")(_replay)


def _batch(
    table: Annotated[Path, typer.Argument(help="help.table", metavar="TABLE")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="help.batch_output", metavar="DIR")
    ],
    template: Annotated[
        str | None, typer.Option("--template", help="help.template", metavar="TEXT")
    ] = None,
    id_column: Annotated[
        str | None, typer.Option("--id", help="help.id_column", metavar="COLUMN")
    ] = None,
    sheet: Annotated[
        str | None, typer.Option("--sheet", help="help.sheet_name", metavar="NAME")
    ] = None,
    n: Annotated[str, typer.Option("-n", help="help.batch_n", metavar="N")] = "1",
    seed: Annotated[str, typer.Option("--seed", help="help.batch_seed", metavar="S")] = "0",
    same_noise: Annotated[bool, typer.Option("--same-noise", help="help.same_noise")] = False,
    steps: Annotated[str | None, typer.Option("--steps", help="help.steps", metavar="N")] = None,
    guidance: Annotated[
        str | None, typer.Option("--guidance", help="help.guidance", metavar="X")
    ] = None,
    negative: Annotated[
        str, typer.Option("--negative", help="help.negative", metavar="TEXT", show_default=False)
    ] = "",
    size: Annotated[str | None, typer.Option("--size", help="help.size", metavar="WxH")] = None,
    file_format: Annotated[
        str, typer.Option("--format", help="help.format", metavar="FORMAT")
    ] = "png",
    visible_label: Annotated[
        bool, typer.Option("--visible-label", help="help.visible_label")
    ] = False,
    embed_request: Annotated[
        bool, typer.Option("--embed-request", help="help.embed_request")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="help.dry_run")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="help.skip_bad")] = False,
    no_scores: Annotated[bool, typer.Option("--no-scores", help="help.no_scores")] = False,
    keep_best_of: Annotated[
        str, typer.Option("--keep-best-of", help="help.keep_best_of", metavar="N")
    ] = "1",
    retry_mismatch: Annotated[
        str, typer.Option("--retry-mismatch", help="help.retry_mismatch", metavar="N")
    ] = "0",
    workers: Workers = "1",
    engine: EngineName = "local",
    address: Address = None,
    gpus: Gpus = "0",
    store_url: StoreUrl = None,
    metrics: Annotated[
        Path | None, typer.Option("--metrics", help="help.metrics", metavar="FILE")
    ] = None,
    json: Json = False,
    model: Model = None,
    device: Device = None,
    adapter: Adapter = None,
) -> None:
    from ui.batch import BatchOrder, run_batch

    order = BatchOrder(
        table=table,
        folder=output,
        template=template,
        id_column=id_column,
        sheet=sheet,
        count=usage.whole_number("-n", n),
        seed=usage.whole_number("seed", seed),
        shares_seed=same_noise,
        num_inference_steps=None
        if steps is None
        else usage.whole_number("num_inference_steps", steps),
        guidance_scale=None if guidance is None else usage.number("guidance_scale", guidance),
        negative_prompt=negative,
        size=None if size is None else usage.size(size),
        format=file_format,
        visible_label=visible_label,
        embed_request=embed_request,
        is_dry_run=dry_run,
        skips_bad=skip_bad,
        has_scores=not no_scores,
        keep_best_of=usage.whole_number("keep_best_of", keep_best_of),
        retry_mismatch=usage.whole_number("retry_mismatch", retry_mismatch),
        engine=engine_of(workers, engine, address, gpus, store_url),
        metrics=metrics,
        as_json=json,
        model=model,
        device=device,
        adapters=tuple(map(usage.adapter, adapter or ())),
    )
    raise typer.Exit(run_batch(order))


def _replay(
    files: Annotated[list[Path], typer.Argument(help="help.replay_files", metavar="FILE...")],
    reference: Annotated[
        list[Path] | None,
        typer.Option("--reference", help="help.replay_reference", metavar="PIC"),
    ] = None,
    parent: Annotated[
        list[Path] | None,
        typer.Option("--parent", help="help.replay_parent", metavar="PIC"),
    ] = None,
    json: Json = False,
    model: Model = None,
    device: Device = None,
) -> None:
    from ui.replay import replay_files

    code = replay_files(
        files,
        references=reference or [],
        parents=parent or [],
        model=model,
        device=device,
        as_json=json,
    )
    raise typer.Exit(code)
