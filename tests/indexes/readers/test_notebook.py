"""Notebooks: cells, headings, and small outputs."""

import json

import pytest


def make_notebook(*cells: dict) -> str:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)})


def test_notebook(read, outline, parts):
    document = read(
        "a.ipynb",
        make_notebook(
            {"cell_type": "markdown", "source": ["# 題\n", "text"]},
            {"cell_type": "raw", "source": "  \n"},
            {
                "cell_type": "code",
                "source": "# no heading\nx = 1",
                "outputs": [
                    {"output_type": "stream", "name": "stdout", "text": ["loss ", "0.5"]},
                    {"output_type": "display_data", "data": {"text/plain": "42", "image/png": "iVBOR"}},
                    {"output_type": "stream", "text": "x" * 2_001},
                    {"output_type": "error", "ename": "OSError", "evalue": "no oil.csv", "traceback": ["trace"]},
                ],
            },
            {"cell_type": "markdown", "source": "end\n\n## Sub"},
        ),
    )
    assert (
        document.text == "# 題\ntext\n\n# no heading\nx = 1\n\nloss 0.5\n\n42\n\nOSError: no oil.csv\n\nend\n\n## Sub"
    )
    assert outline(document) == [(1, "題"), (2, "Sub")]
    assert [part[:3] for part in parts(document)] == ["# 題", "# n", "end"]
    assert document.title == "題"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            {"text/plain": "<IPython.core.display.Markdown object>", "text/markdown": "**Oil** is low."},
            "**Oil** is low.",
        ),
        (
            {"text/plain": ["<pandas.io.formats.style.Styler at 0x7f>"], "text/html": "<b>Oil</b><p>is low"},
            "Oil\nis low",
        ),
        ({"text/plain": "<IPython.core.display.Latex object>", "text/latex": "$x^2$"}, "$x^2$"),
        ({"text/plain": "x**2", "text/latex": "$x^2$"}, "x**2"),
        (
            {"text/plain": "<Figure size 640x480 with 1 Axes>", "text/html": "<p>no"},
            "<Figure size 640x480 with 1 Axes>",
        ),
        ({"text/html": "<div>" * 6_000, "text/plain": "<a.B object at 0x1>"}, "<a.B object at 0x1>"),
        ({"text/html": ["<p>one", "<p>two"]}, "one\ntwo"),
        ({"text/plain": "<graphviz.Digraph at 0x7f>", "image/svg+xml": "<svg><text>Oil</text></svg>"}, "Oil"),
    ],
)
def test_outputs_are_read_as_they_are_shown(data, text, read):
    cell = {"cell_type": "code", "source": "x", "outputs": [{"output_type": "execute_result", "data": data}]}
    assert read("a.ipynb", make_notebook(cell)).text == f"x\n\n{text}"


def test_an_old_notebook(read):
    cells = [
        {"cell_type": "heading", "level": 2, "source": "Old"},
        {"cell_type": "code", "input": "x", "outputs": [{"output_type": "stream", "text": "y"}]},
        {"cell_type": "code", "input": "z", "outputs": [{"output_type": "display_data", "html": ["<p>Oil</p>"]}]},
    ]
    document = read("a.ipynb", json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]}))
    assert document.text == "## Old\n\nx\n\ny\n\nz\n\nOil"


def test_long_outputs_are_left_out_and_counted(read):
    outputs = [{"output_type": "stream", "text": "x" * length} for length in (2_001, 3_000, 4)]
    document = read("a.ipynb", make_notebook({"cell_type": "code", "source": "run()", "outputs": outputs}))
    assert document.text == "run()\n\nxxxx"
    assert document.warnings == ("2 outputs are left out: over 2,000 characters",)


@pytest.mark.parametrize("text", ["[]", "{}", '{"nbformat": 4}', "1"])
def test_what_is_no_notebook(text, refusal):
    assert refusal("a.ipynb", text) == "not a notebook: it has no cells"


def test_a_notebook_of_format_2_has_lines_without_ends(read):
    cells = [{"cell_type": "code", "input": ["x = 1", "y = 2"], "outputs": []}]
    assert read("a.ipynb", json.dumps({"nbformat": 2, "worksheets": [{"cells": cells}]})).text == "x = 1\ny = 2"


def test_tables_of_notebooks_have_their_headers_and_front_matter_is_none_of_the_text(read):
    table = "| Port | Depth |\n|---|---|\n| Kiel | 12 |\n| Emden | 9 |"
    front = "---\ntitle: Depths\nauthor: K\n---\n"
    cells = [{"cell_type": "raw", "source": front}, {"cell_type": "markdown", "source": f"# A\n\n{table}"}]
    document = read("a.ipynb", json.dumps({"cells": cells, "nbformat": 4}))
    assert document.text == f"# A\n\n{table}"
    assert (document.title, document.metadata) == ("Depths", {"author": "K"})
    [found] = document.tables
    assert found.header == "| Port | Depth |"
    assert document.text[found.start : found.end] == "| Kiel | 12 |\n| Emden | 9 |"
