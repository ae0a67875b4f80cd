"""What an evaluation compares, checked before anything is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, get_args

from longctx.errors import BadRequest
from longctx.models import is_address
from longctx.types import AskOptions, RouteChoice, SearchMode

_COMPARED = ("route", "mode")  # fields of `AskOptions` that belong to a combination
_WITHOUT_MODEL = ("auto", "retrieval")


class Combination(NamedTuple):
    """One way to answer, of those that are compared.

    Attributes:
        model: The model's name; None quotes sentences without a model.
        scaling: The RoPE scaling; None for none.
        route: The route.
        mode: How passages are searched for.
    """

    model: str | None
    scaling: str | None
    route: str
    mode: str

    @property
    def label(self) -> str:
        """The combination in one line."""
        return ", ".join((self.model or "no model", *([self.scaling] if self.scaling else []), self.route, self.mode))


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """What is compared: every combination of models, scalings, routes and modes.

    Attributes:
        models: Names of models, as `open_qa` of `evaluate` takes them; None quotes sentences without a model.
        scalings: RoPE scalings; None for none.
        routes: Routes, as in `AskOptions`.
        modes: Ways to search, as in `AskOptions`.
        ask: How every question is asked; its `route` and `mode` are not used.
        depends_on: What else the answers depend on, such as a LoRA adapter, by name. Results kept under other values
            are not mixed with these.

    Raises:
        BadRequest: For a route or a mode that does not exist, or options that do not go together.
    """

    models: tuple[str | None, ...] = (None,)
    scalings: tuple[str | None, ...] = (None,)
    routes: tuple[str, ...] = ("auto",)
    modes: tuple[str, ...] = ("hybrid",)
    ask: AskOptions = field(default_factory=AskOptions)
    depends_on: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("models", "scalings", "routes", "modes"):
            stated = getattr(self, name)
            if not (isinstance(stated, tuple | list) and all(isinstance(each, str | Path | None) for each in stated)):
                raise BadRequest(f"{name} is {stated!r}: give a tuple of names")
            given = tuple(dict.fromkeys(stated))
            if not given:
                raise BadRequest(f"{name} is empty: give at least one")
            object.__setattr__(self, name, given)
        for name, known in (("routes", get_args(RouteChoice)), ("modes", get_args(SearchMode))):
            if unknown := [value for value in getattr(self, name) if value not in known]:
                raise BadRequest(f"{name}: there is no {unknown[0]!r}: use {', '.join(known)}")
        scaled = [scaling for scaling in self.scalings if scaling is not None]
        fixed = [model for model in self.models if model is None or is_address(model)]
        if scaled and fixed:
            what = "answers without a model" if fixed[0] is None else fixed[0]
            raise BadRequest(f"scaling {scaled[0]!r} cannot be applied to {what}: evaluate that in a run of its own")
        if None in self.models and (needing := [route for route in self.routes if route not in _WITHOUT_MODEL]):
            raise BadRequest(f"route {needing[0]} needs a model: give one (--model), or leave the route out")

    def combinations(self) -> tuple[Combination, ...]:
        """All combinations.

        Returns:
            The combinations; those of a model and a scaling follow one another.
        """
        return tuple(map(Combination._make, product(self.models, self.scalings, self.routes, self.modes)))

    def fingerprint(self) -> dict[str, str]:
        """What answers depend on beside question, combination and index.

        Returns:
            Each option as text, by name.
        """
        options: dict[str, Any] = {each.name: getattr(self.ask, each.name) for each in fields(self.ask)}
        return {name: repr(value) for name, value in options.items() if name not in _COMPARED} | dict(self.depends_on)
