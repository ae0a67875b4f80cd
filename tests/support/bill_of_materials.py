"""A software bill of materials: the distributions in this environment, as CycloneDX 1.6 JSON on standard output."""

from __future__ import annotations

import json
import sys
from importlib.metadata import Distribution, distributions
from typing import Any


def component(of: Distribution) -> dict[str, Any]:
    name, version = of.metadata["Name"], of.version
    purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
    licence = of.metadata.get("License-Expression") or of.metadata.get("License") or ""
    known = [{"license": {"name": licence}}] if 0 < len(licence) < 100 else []
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl, "licenses": known}


def bill_of_materials() -> dict[str, Any]:
    """All distributions, each once, by name."""
    found = {of.metadata["Name"].lower(): component(of) for of in distributions()}
    components = [found[name] for name in sorted(found)]
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}


if __name__ == "__main__":
    json.dump(bill_of_materials(), sys.stdout, indent=1)
