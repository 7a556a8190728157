"""JSON Schemas of the configuration files, for completion in editors; made from the models (no I/O)."""

import json
from typing import Any

from tray_agent.settings.app import AppSettings
from tray_agent.settings.games import GamesFile
from tray_agent.settings.model import Model

GAMES_SCHEMA = "games.schema.json"
APP_SCHEMA = "tray_agent.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, str]:
    """File name -> its text."""
    models: dict[str, type[Model]] = {GAMES_SCHEMA: GamesFile, APP_SCHEMA: AppSettings}
    return {name: _text(model.model_json_schema(mode="validation")) for name, model in models.items()}


def _text(schema: dict[str, Any]) -> str:
    return json.dumps({"$schema": _DIALECT, **_without_examples(schema)}, indent=1, ensure_ascii=False) + "\n"


def _without_examples(part: Any) -> Any:
    """The models' examples are lines of YAML for error messages, which no editor could use as values."""
    if isinstance(part, dict):
        return {k: _without_examples(v) for k, v in part.items() if not (k == "examples" and isinstance(v, list))}
    return [_without_examples(item) for item in part] if isinstance(part, list) else part
