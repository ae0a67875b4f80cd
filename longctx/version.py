"""The version, as pyproject.toml has it, for modules that must not import the package's face."""

__version__ = "0.1.0"
