"""The config schema of the trainer in the template."""

from contracts.extraction import Json, schema
from scaffolder.frameworks import discover


def extract() -> Json:
    """The same settings for every algorithm that the adapter offers."""
    from custom_settings import Settings

    custom = discover()["custom"]
    classes = {str(name): (Settings,) for name in custom.algorithms}
    return schema("custom", custom.version, classes, reads="pydantic")
