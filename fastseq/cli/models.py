"""The models there are, and how one of them runs."""

import json

import click

import fastseq
from fastseq._lazy import load
from fastseq.cli.shared.options import device_option, json_option, verb

SETTINGS = {"help_option_names": ["-h", "--help"]}


@click.group("models", context_settings=SETTINGS)
def command() -> None:
    """List the models that train by name, or explain how a checkpoint runs.

    \b
    Example:
      fastseq models list
      fastseq models recipes
      fastseq models explain model.safetensors
    """


@command.add_command
@verb("list")
@json_option
def list_models(as_json: bool) -> None:
    """Print the table of models: name, parameters, what it is, source, licence.

    \b
    Example:
      fastseq models list --json | jq '.[].name'
    """
    table = fastseq.models.list()
    if not as_json:
        click.echo(table)
        return
    fields = ("name", "parameters", "summary", "source", "licence", "sizes")
    rows = [{field: getattr(entry, field) for field in fields} for entry in table]
    click.echo(json.dumps(rows, indent=2))


@command.add_command
@verb("recipes")
@json_option
def list_recipes(as_json: bool) -> None:
    """Print the recipes that train takes: loss, batch size, and the stages one after the other.

    \b
    Example:
      fastseq models recipes --json | jq .bhi
    """
    recipes = load("fastseq.learn.recipes").RECIPES
    if as_json:
        click.echo(
            json.dumps({name: recipe.to_dict() for name, recipe in recipes.items()}, indent=2)
        )
        return
    for name, recipe in recipes.items():
        stages = "; ".join(
            f"{stage.epochs} epochs {stage.optimizer} {stage.lr:g} {stage.schedule}"
            for stage in recipe.stages
        )
        click.echo(f"{name}\t{recipe.loss}\t{recipe.batch_size} rows\t{stages}")


@command.add_command
@verb("explain")
@click.argument("model", metavar="MODEL")
@click.option("--length", type=click.IntRange(1), help="bp, for a model by name.")
@device_option
@click.option("--diagram", metavar="FILE", help="Also draw its steps: .svg, .png or .pdf.")
@click.option("--json", "as_json", is_flag=True, help="Print what the checkpoint says of itself.")
def explain(
    model: str, length: int | None, device: str | None, diagram: str | None, as_json: bool
) -> None:
    """Tell layer by layer how a checkpoint, or a model of the table, runs here and why.

    \b
    Example:
      fastseq models explain model.safetensors
      fastseq models explain tum_resnet --length 200 --diagram tum_resnet.svg
    """
    named = not model.endswith(".safetensors")
    if as_json and not named:
        about = load("fastseq.models.checkpoints").describe(model)
        click.echo(json.dumps(about, indent=2))
        return
    sizes = {} if length is None else {"length": length}
    plan = fastseq.lower(fastseq.models.build(model, **sizes) if named else model, device=device)
    if diagram is not None:
        show = load("fastseq.show")
        show.save(show.network_diagram(plan), diagram)
    click.echo(json.dumps(plan.explain().splitlines(), indent=2) if as_json else plan.explain())
