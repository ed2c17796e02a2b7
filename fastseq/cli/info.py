"""What was built and what runs here."""

from typing import Any

import click

import fastseq
from fastseq.cli.shared.verb import as_json, done, verb


@verb("info")
def command() -> None:
    """Say which versions, native modules, devices and optional parts are at work here.

    \b
    Example:
      fastseq info
      fastseq info --json | jq .devices
    """
    found: dict[str, Any] = fastseq.info()
    done(**found)
    if as_json():
        return
    click.echo(
        f"fastseq {found['fastseq']} on Python {found['python']}, {found['system']}, "
        f"{found['cores']} cores."
    )
    processor = found["processor"]
    features = f" with {', '.join(processor['features'])}" if processor["features"] else ""
    click.echo(f"Processor: {processor['name']}{features}.")
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    click.echo(f"Packages: {packages}.")
    for device in found["devices"]:
        click.echo(f"Device: {device}.")
    native = found["native"]
    click.echo(
        f"Native code runs {native['path']} (of {', '.join(native['paths'])}): "
        f"{', '.join(native['modules'])}."
    )
    for sentence in found["fused"]:
        click.echo(f"{sentence[0].upper()}{sentence[1:]}.")
    for extra, packages in found["extras"].items():
        there = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
        click.echo(f"Extra {extra}: {there or 'not installed'}.")
    for sentence in found["missing"] or ["nothing; every extra is installed"]:
        click.echo(f"Missing: {sentence}.")
