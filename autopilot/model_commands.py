"""The commands below `autopilot models`: what is registered, and what it is called."""

from datetime import UTC, datetime

from cyclopts import App

from autopilot.parameters import Json, StorePath, open_store

models = App(name="models", help="Registered model versions: list them, give them aliases, delete those not needed.")


@models.default
def models_list(*, store: StorePath = None, json: Json = False) -> None:
    """List the registered model versions."""
    from autopilot import terminal

    opened = open_store(store)
    found = opened.models.list()
    terminal.print_json(found) if json else terminal.print_models(found, opened.aliases.list())


@models.command(name="alias")
def models_alias(model: str, alias: str, /, *, store: StorePath = None, json: Json = False) -> None:
    """Give a version another name, such as production: churn:production is then that version wherever churn:3 is.

    Parameters
    ----------
    model
        The version, such as churn:3, or churn for the newest.
    alias
        Its other name. A version that has it loses it; endpoints stay as they are.
    """
    from autopilot import terminal

    opened = open_store(store)
    version = opened.models.get(model)
    given = opened.aliases.put(version.name, alias, version.version, datetime.now(UTC))
    told = f"[bold]{given.model}:{given.name}[/bold] is {given.model}:{given.version}."
    terminal.print_json(given) if json else terminal.say(told)


@models.command(name="unalias")
def models_unalias(model: str, alias: str, /, *, store: StorePath = None, json: Json = False) -> None:
    """Take an alias away; the version stays.

    Parameters
    ----------
    model
        Name of the model, such as churn.
    alias
        Such as production.
    """
    from autopilot import terminal

    open_store(store).aliases.remove(model, alias)
    removed = {"model": model, "removed": alias}
    terminal.print_json(removed) if json else terminal.say(f"{model} has no alias [bold]{alias}[/bold] any more.")


@models.command(name="delete")
def models_delete(model: str, /, *, store: StorePath = None, json: Json = False) -> None:
    """Delete a version that nothing uses; its number is not given again.

    Parameters
    ----------
    model
        The version, such as churn:3.
    """
    from autopilot import terminal
    from storage.errors import InputError

    name, _, number = model.partition(":")
    if not number.isdecimal():
        raise InputError(f"{model!r} names no single version. Write its number, such as churn:3.")
    open_store(store).models.delete(name, int(number))
    terminal.print_json({"deleted": model}) if json else terminal.say(f"Model version [bold]{model}[/bold] is deleted.")
