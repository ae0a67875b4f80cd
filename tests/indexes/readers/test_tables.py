"""Tables: every row is searched and read with its header, wherever its chunk begins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import docx
import pytest
from hand_made_pdf import drawn_pdf
from made_office import fill_table, workbook
from saved_file import saved

from indexes import CorpusIndex, Document, Encoder
from indexes.chunking import chunk_document

Rows = list[list[str]]
ROWS = [["Harbour", "Depth", "Keeper"], *([f"Port{n}", f"{n} m", f"Keeper{n % 7}"] for n in range(60))]


def csv(rows: Rows) -> bytes:
    return "\n".join(",".join(row) for row in rows).encode()


def tsv(rows: Rows) -> bytes:
    return "\n".join("\t".join(row) for row in rows).encode()


def markdown(rows: Rows) -> bytes:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(["Before it.", "", lines[0], "|---|---:|---|", *lines[1:], "", "Prose after it."]).encode()


def html(rows: Rows) -> bytes:
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return f"<p>Before it.<table>{''.join(lines)}</table><p>Prose after it.".encode()


def xlsx(rows: Rows) -> bytes:
    return saved(workbook([["A list of harbours"], *rows]))


def word(rows: Rows) -> bytes:
    document = docx.Document()
    document.add_paragraph("Before it.")
    fill_table(document.add_table(len(rows), len(rows[0])), rows)
    return saved(document)


def pdf(rows: Rows) -> bytes:
    """Two pages, which draw one column after another."""
    contents = []
    for page_rows in (rows[:40], rows[40:]):
        cells = [
            (x, line, row[column]) for column, x in enumerate((50, 250, 400)) for line, row in enumerate(page_rows)
        ]
        drawn = (f"BT /F 12 Tf 1 0 0 1 {x} {780 - 16 * line} Tm ({cell}) Tj ET" for x, line, cell in cells)
        contents.append(" ".join(drawn).encode())
    return drawn_pdf(*contents)


MADE: dict[str, Callable[[Rows], bytes]] = {
    ".csv": csv,
    ".tsv": tsv,
    ".md": markdown,
    ".html": html,
    ".xlsx": xlsx,
    ".docx": word,
    ".pdf": pdf,
}


@pytest.mark.parametrize("suffix", MADE)
def test_every_row_is_below_its_header(suffix: str, read, hashing: Encoder) -> None:
    document: Document = read("harbours" + suffix, MADE[suffix](ROWS))
    [table] = document.tables
    assert [name for name in ROWS[0] if name in table.header] == ROWS[0]
    assert "Port0" in document.text[table.start : table.end].split("\n")[0]
    assert "Prose" not in document.text[table.start : table.end]
    passages = list(chunk_document(document, hashing))
    assert len(passages) > 5
    for row in ROWS[1:]:
        [passage] = [
            each for each in passages if row[0] in each.chunk.text.replace(",", " ").replace("\t", " ").split()
        ]
        line = next(line for line in passage.chunk.text.split("\n") if row[0] in line.replace(",", " ").split())
        assert all(cell in line for cell in row)  # a row is in one chunk
        assert all(name in passage.embedded for name in ROWS[0])
    assert all(each.chunk.text == document.text[each.chunk.start : each.chunk.end] for each in passages)


@pytest.mark.parametrize(
    ("name", "text", "headers"),
    [
        ("a.csv", 'Report of 2026\nName,Price,Left\n"a, b",3,4\nc,5,6\n', ["Name,Price,Left"]),
        ("a.csv", "Name;Price\na;3\nb;4\n", ["Name;Price"]),
        ("a.csv", "Country,2020,2021\nJapan,4,5\nPeru,6,7\n", ["Country,2020,2021"]),
        ("a.csv", "apple,3,4\npear,5,6\n", []),  # no header
        ("a.csv", "row 1,x\nrow 2,y\n", []),
        ("a.csv", "Name,Price\n", []),  # no row
        ("a.md", "a | b\n--|--\nx | y\n\nc | d\n\n| e | f |\n|:-|-:|\n| 1 | 2 |\ntext", ["a | b", "| e | f |"]),
        ("a.md", "not | a table\nof any kind", []),
    ],
)
def test_which_row_is_the_header(name: str, text: str, headers: list[str], read) -> None:
    assert [table.header for table in read(name, text).tables] == headers


def test_a_chunk_of_an_index_knows_the_header_of_its_rows(tmp_path: Path, hashing: Encoder) -> None:
    (tmp_path / "harbours.csv").write_bytes(csv(ROWS))
    with CorpusIndex.open(tmp_path / "index", hashing) as index:
        index.ingest(tmp_path / "harbours.csv")
        [hit] = index.search("Port55", k=1, mode="lexical")
        assert hit.chunk.text_with_header == f"Harbour,Depth,Keeper\n{hit.chunk.text}"
        assert len(index.search("Depth", k=50, mode="lexical")) == index.info().chunks  # by the header of every chunk
        [wide] = index.search("Port55", k=1, mode="lexical", expand=1)
        assert wide.chunk.table_header == "Harbour,Depth,Keeper"
        assert index.verify().problems == ()


STACKED = [["Boat", "Fee"], ["Dinghy", "5"], ["Sloop", "n/a"], [], ["Sloop", "n/a"], ["Yacht", "9"], []]
STACKED += [["Lamp", "Hours"], ["Bronze", "100"], [], ["Code", "Meaning"], ["Spot", "Hot"], ["Line", "Cold"]]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_each_of_several_tables_below_each_other_has_its_own_header(suffix, read):
    book = workbook(row or [None] for row in STACKED)
    document = read(f"a{suffix}", csv(STACKED) if suffix == ".csv" else saved(book))
    headers = [table.header.replace(" | ", ",") for table in document.tables]
    assert headers == ["Boat,Fee", "Lamp,Hours", "Code,Meaning"]
    rows = [document.text[table.start : table.end] for table in document.tables]
    assert "Yacht" in rows[0]
    assert "Lamp" not in rows[0]
    assert "Bronze" in rows[1]
    assert "Cold" in rows[2]


def test_names_at_the_side_of_a_table_are_no_header(read):
    side = "<table><tr><th>Height<td>12 m<tr><th>Built<td>in 1901<tr><th>Keeper<td>Tangen</table>"
    assert read("a.html", f"<p>A tower.</p>{side}".encode()).tables == ()
    both = "<table><tr><th>Boat<th>Fee<tr><th>Dinghy<td>five<tr><th>Yacht<td>nine</table>"
    assert [table.header for table in read("b.html", both.encode()).tables] == ["Boat | Fee"]


def rows_below(document):
    """(the header, the rows) of each table."""
    return [(each.header, document.text[each.start : each.end].splitlines()) for each in document.tables]


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("店,売上,\n,上期,下期\n", "店,売上 上期,売上 下期"),
        (",上期,\n店,売上,利益\n", "店,上期 売上,上期 利益"),
        ("2026年度,,\n店,売上,利益\n", "店,売上,利益"),
        ("店,売上,\n", "店,売上,"),
        ("名,,備考\n", "名,,備考"),
        (",2025,\n店,Q1,Q2\n", "店,2025 Q1,2025 Q2"),
        ("店,売上,\n,2025,2026\n", "店,売上 2025,売上 2026"),
    ],
)
def test_a_header_of_two_rows_in_a_csv(head, names, read):
    rows = ["東京,1,2", "大阪,3,4", "福岡,5,6"]
    assert rows_below(read("a.csv", head + "\n".join(rows))) == [(names, rows)]


def test_headers_of_long_tables_in_latex_as_pandoc_writes_them(read):
    head = r"\begin{minipage}[b]{\linewidth}\raggedright Port \end{minipage} & Depth \\"
    column = r">{\raggedright\arraybackslash}p{(\linewidth - 4\tabcolsep) * \real{0.2222}}"
    text = "\n".join(
        [
            rf"\begin{{longtable}}[]{{@{{}}{column}r@{{}}}}",
            r"\caption{Depths of \emph{ports}}\tabularnewline",
            *(r"\toprule\noalign{}", head, r"\midrule\noalign{}", r"\endfirsthead"),
            *(r"\toprule\noalign{}", head, r"\midrule\noalign{}", r"\endhead"),
            *(r"\bottomrule\noalign{}", r"\endlastfoot", r"Kiel & 12 \\", r"Oslo & 9 \\", r"\end{longtable}"),
        ]
    )
    [(header, rows)] = rows_below(read("a.tex", text))
    assert header == "Port | Depth"
    assert rows[-2:] == [r"Kiel & 12 \\", r"Oslo & 9 \\"]


def test_a_header_of_two_rows_on_a_sheet_without_merged_cells(read):
    rows = [
        ["", "2025", None, "2026", None],
        ["Boat", "Q1", "Q2", "Q1", "Q2"],
        ["Ellen", 1, 2, 3, 4],
        ["Maria", 5, 6, 7, 8],
    ]
    assert rows_below(read("a.xlsx", saved(workbook(rows)))) == [
        ("Boat | 2025 Q1 | 2025 Q2 | 2026 Q1 | 2026 Q2", ["Ellen | 1 | 2 | 3 | 4", "Maria | 5 | 6 | 7 | 8"])
    ]


def test_a_row_without_numbers_is_no_second_row_of_a_header(read):
    document = read("a.csv", "name,,note\nanchor,b,c\nbuoy,1,x\nchain,2,y\n")
    assert rows_below(document) == [("name,,note", ["anchor,b,c", "buoy,1,x", "chain,2,y"])]


def test_tables_of_other_languages_in_markdown(read):
    quoted = "> | Port | Depth |\n> |---|---|\n> | Kiel | 12 |\n"
    grid = "+------+-------+\n| Port | Lamp  |\n+:=====+======:+\n| Kiel | white |\n+------+-------+\n"
    page = (
        '<table>\n<tr><th>港</th><th>深&amp;さ</th></tr>\n<tr><td>Kiel</td>\n<td align="right">12</td></tr>\n</table>\n'
    )
    assert rows_below(read("a.md", f"{quoted}\n{grid}\n{page}")) == [
        ("| Port | Depth |", ["> | Kiel | 12 |"]),
        ("Port | Lamp", ["| Kiel | white |"]),
        ("港 | 深&さ", ["<tr><td>Kiel</td>", '<td align="right">12</td></tr>']),
    ]


@pytest.mark.parametrize(
    ("begin", "cells"),
    [
        (",===", ("Port,Depth", '"Kiel, east",12', "Emden,9")),
        ("[%header,format=csv]\n|===", ("Port,Depth", '"Kiel, east",12', "Emden,9")),
        ("[format=dsv]\n|===", ("Port:Depth", "Kiel:12", "Emden:9")),
    ],
)
def test_delimited_tables_of_asciidoc(begin, cells, read):
    text = f"{begin}\n{chr(10).join(cells)}\n{begin.splitlines()[-1]}\n"
    assert rows_below(read("a.adoc", text)) == [("Port | Depth", list(cells[1:]))]
