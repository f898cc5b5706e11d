"""The JSON Schema of a protocol file, so that an editor can complete keys and underline mistakes while one types."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from trialrun.protocol.document import AmendmentPart, ProtocolDocument, VersionPart


def protocol_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of `protocol.yaml`; a version stands in full or as an amendment.

    What only the whole file can tell (units in rules, names that exist elsewhere, amended paths) is left to
    `trialrun check`.
    """
    models: list[tuple[Any, Any]] = [(model, "validation") for model in (ProtocolDocument, VersionPart, AmendmentPart)]
    refs, definitions = models_json_schema(models, by_alias=True)
    document = dict(definitions["$defs"].pop("ProtocolDocument"))
    version = {"if": {"required": ["amends"]}, "then": refs[models[2]], "else": refs[models[1]]}
    versions = {**document["properties"]["versions"], "additionalProperties": version, "minProperties": 1}
    document["properties"] = {**document["properties"], "versions": versions}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "trialrun protocol",
        **{key: value for key, value in document.items() if key != "title"},
        "$defs": definitions["$defs"],
    }
