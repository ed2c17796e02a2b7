"""The models there are, and how one of them runs."""

import click

import fastseq
from fastseq._lazy import load
from fastseq.cli.shared.files import PICTURES, OutputName
from fastseq.cli.shared.options import device_option
from fastseq.cli.shared.verb import SETTINGS, answer, done, verb


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
def list_models() -> None:
    """Print the table of models: name, parameters, what it is, source, licence.

    \b
    Example:
      fastseq models list --json | jq '.models[].name'
    """
    table = fastseq.models.list()
    fields = ("name", "parameters", "summary", "source", "licence", "sizes")
    rows = [{field: getattr(entry, field) for field in fields} for entry in table]
    answer(str(table), models=rows)


@command.add_command
@verb("recipes")
def list_recipes() -> None:
    """Print the recipes that train takes: loss, batch size, and the stages one after the other.

    \b
    Example:
      fastseq models recipes --json | jq .recipes.bhi
    """
    recipes = load("fastseq.learn.recipes").RECIPES
    lines = []
    for name, recipe in recipes.items():
        stages = "; ".join(
            f"{stage.epochs} epochs {stage.optimizer} {stage.lr:g} {stage.schedule}"
            for stage in recipe.stages
        )
        lines.append(f"{name}\t{recipe.loss}\t{recipe.batch_size} rows\t{stages}")
    answer("\n".join(lines), recipes={name: recipe.to_dict() for name, recipe in recipes.items()})


@command.add_command
@verb("explain")
@click.argument("model", metavar="MODEL")
@click.option("--length", type=click.IntRange(1), help="bp, for a model by name.")
@device_option
@click.option("--diagram", metavar="FILE", type=OutputName(PICTURES),
              help="Also draw its steps: .svg, .png or .pdf.")  # fmt: skip
def explain(model: str, length: int | None, device: str | None, diagram: str | None) -> None:
    """Tell layer by layer how a checkpoint, or a model of the table, runs here and why.

    \b
    Example:
      fastseq models explain model.safetensors
      fastseq models explain tum_resnet --length 200 --diagram tum_resnet.svg
    """
    named = not model.endswith(".safetensors")
    if not named:
        done(**load("fastseq.models.checkpoints").describe(model))
    sizes = {} if length is None else {"length": length}
    plan = fastseq.lower(fastseq.models.build(model, **sizes) if named else model, device=device)
    if diagram is not None:
        show = load("fastseq.show")
        show.save(show.network_diagram(plan), diagram)
    answer(plan.explain(), explanation=plan.explain().splitlines())
