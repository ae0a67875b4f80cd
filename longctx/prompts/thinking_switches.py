"""The switches of chat templates for thinking."""

from __future__ import annotations

import re

from longctx.prompts.thinking_tags import END, TAGS

_SWITCH = re.compile(r"(?<![.\w'\"])(enable_thinking|thinking|reasoning_effort)(?![\w'\"])(?=[^{}]*[%}]})")


def thought_tag(template: str) -> str | None:
    """The tag that opens thoughts in the answers of a thinking model.

    Args:
        template: The model's chat template.

    Returns:
        The tag; None if the template is that of a model that does not think.
    """
    if cannot_be_off(template):
        return "<|channel|>analysis<|message|>"
    known = next(
        (opening for opening, closing in TAGS if opening in template or (closing in template and closing != END)),
        None,
    )
    return known or ("<think>" if "enable_thinking" in template else None)


def cannot_be_off(template: str) -> bool:
    """Whether a chat template is that of a model that thinks in any case: gpt-oss has only low to high."""
    return "<|channel|>" in template


def switches(template: str) -> frozenset[str]:
    """The variables of a chat template that turn thinking on and off: `enable_thinking`, `thinking` and the like."""
    return frozenset(_SWITCH.findall(template))


def switched(template: str, *, on: bool) -> dict[str, bool | str]:
    """Values for the switches of a chat template.

    Args:
        template: The template.
        on: Whether the model is to think.

    Returns:
        Values by the names of variables; empty for a template without a switch.
    """
    values: dict[str, bool | str] = {"enable_thinking": on, "thinking": on}
    values["reasoning_effort"] = "medium" if on else "low" if "<|channel|>" in template else "none"
    return {name: values[name] for name in switches(template)}
