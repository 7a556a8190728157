"""Turns pydantic's errors into problems with positions and remedies (no I/O)."""

import typing
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from tray_agent.settings.load import Document, Location, Problem, dotted
from tray_agent.settings.mistake import MISTAKE, did_you_mean

_PLAINER = {
    "model_type": "should be a mapping of 'key: value' lines",
    "dict_type": "should be a mapping of 'key: value' lines",
    "tuple_type": "should be a list, like [a, b]",
    "bool_parsing": "should be true or false",
    "bool_type": "should be true or false",
    "int_parsing": "should be a whole number",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_parsing": "should be a number",
    "float_type": "should be a number",
    "finite_number": "should be a finite number",
    "string_type": "should be text (in quotes if it looks like a number)",
}
"""pydantic's error type -> words for a gamer, where pydantic speaks Python."""


def explain(error: ValidationError, model: type[BaseModel], document: Document) -> list[Problem]:
    """Every error as a problem, in the order of the file."""
    problems = {_explain_one(details, model, document) for details in error.errors(include_url=False)}
    return sorted(problems, key=lambda p: (p.line, p.column, p.field, p.what))


def _explain_one(details: ErrorDetails, model: type[BaseModel], document: Document) -> Problem:
    kind, location = details["type"], details["loc"]
    context = details.get("ctx", {})
    if location and location[-1] == "[key]":
        return _problem(document, location[:-1], details, model, at_key=True)
    if kind == MISTAKE:
        part = tuple(context["at"])
        return _problem(document, (*location, *part), details, model, at_key=any(isinstance(p, str) for p in part[-1:]))
    if kind == "extra_forbidden":
        known = sorted(_fields(_annotation(model, location[:-1])))
        remedy = did_you_mean(str(location[-1]), known, f"Known here: {', '.join(known)}.")
        return Problem(document.file, *document.keys[location], dotted(location), "unknown key", remedy)
    if kind == "missing":
        parent = document.known_prefix(location)
        remedy = _example(model, location) or "Add it."
        return Problem(document.file, *document.keys.get(parent, (1, 1)), dotted(location), "missing", remedy)
    return _problem(document, location, details, model, at_key=False)


def _problem(
    document: Document, location: Location, details: ErrorDetails, model: type[BaseModel], *, at_key: bool
) -> Problem:
    here = document.known_prefix(location)
    position = (document.keys if at_key else document.values).get(here, (1, 1))
    context = details.get("ctx", {})
    if details["type"] == MISTAKE:
        return Problem(document.file, *position, dotted(here), context["what"], context["remedy"])
    message = details["msg"][:1].lower() + details["msg"][1:]
    message = message.replace("input should", "should").replace("string should", "should")
    message = _PLAINER.get(details["type"], message)
    what = f"{message}, but is {_shown(details['input'])}"
    return Problem(document.file, *position, dotted(here), what, _example(model, here))


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = "empty" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _example(model: type[BaseModel], location: Location) -> str:
    field = _field(model, location)
    if field is None or not field.examples:
        return ""
    return f"For example: {location[-1]}: {field.examples[0]}"


def _field(model: type[BaseModel], location: Location) -> FieldInfo | None:
    if not location:
        return None
    return _fields(_annotation(model, location[:-1])).get(str(location[-1]))


def _fields(annotation: Any) -> dict[str, FieldInfo]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {field.alias or name: field for name, field in annotation.model_fields.items()}
    return {}


def _annotation(model: Any, location: Location) -> Any:
    """Type of the value at `location`, None when the models have nothing there."""
    for part in location:
        model = _step(model, part)
    return model


def _step(annotation: Any, part: str | int) -> Any:
    fields = _fields(annotation)
    if fields:
        return _bare(fields[str(part)].annotation) if part in fields else None
    arguments = typing.get_args(annotation)
    return _bare(arguments[-1 if isinstance(part, str) else 0]) if arguments else None


def _bare(annotation: Any) -> Any:
    """`Model | None` and `Annotated[Model, ...]` -> `Model`; containers stay as they are."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _bare(typing.get_args(annotation)[0])
    models = [a for a in typing.get_args(annotation) if isinstance(a, type) and issubclass(a, BaseModel)]
    if models and typing.get_origin(annotation) not in (dict, tuple, list):
        return models[0]
    return annotation
