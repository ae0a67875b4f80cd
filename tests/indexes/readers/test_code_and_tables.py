"""Source code and tables: where definitions and records begin."""

import pytest


@pytest.mark.parametrize(
    ("name", "marked"),
    [
        (
            "a.py",
            "import x\n\n§# why\n@wraps(f)\ndef f():\n    def g(): ...\n\n§async def h(): ...\n"
            "§class A:\n    def m(self): ...\n",
        ),
        (
            "a.js",
            "import a from 'a';\n§export default function f() {\n}\n§export const g = async (x) => {\n};\n"
            "§class B {}\n",
        ),
        (
            "a.c",
            "#include <a.h>\n\n§/* doc */\nint main(int argc,\n         char **argv)\n{\n  if (x) y();\n}\n"
            "int z = f(1);\n§struct s {\n};\n",
        ),
        ("a.go", "§package a\n\n§func F() {\n}\n"),
        ("a.rs", "§/// Doc.\npub(crate) fn f() {\n}\n\n§#[derive(Debug)]\nstruct S;\n"),
        ("a.toml", "§[a]\nx = 1\n\n§[b.c]\ny = 2\n"),
        ("a.yaml", "§a:\n  b: 1\n§c: 2\n"),
        ("a.csv", '§a,b\n§"two\nlines ""q""",2\r\n§3,4'),
        ("a.tsv", '§a\t5" disk\n§b\tc\n'),
        ("a.jsonl", '§{"a": 1}\n\n§{"b": "日"}\n'),
    ],
)
def test_breaks(name, marked, read, parts):
    """Each § stands where a break should be."""
    document = read(name, marked.replace("§", ""))
    assert parts(document) == marked.split("§")[1:]


@pytest.mark.parametrize(
    ("escaped", "shown"),
    [
        (r'name: "\u706F\u53F0\u3000x \U0001F600 caf\xE9"', 'name: "灯台\u3000x 😀 café"'),
        ('name: "\\u706F\\\n  \\u53F0\\\n  \\ x"', 'name: "灯台 x"'),
        (r'name: "C:\\u706F \u0041 \ud83d\ude00 \ud83d"', r'name: "C:\\u706F \u0041 😀 \ud83d"'),
        ("run: |\n  a \\\n    b", "run: |\n  a \\\n    b"),
    ],
)
@pytest.mark.parametrize("suffix", [".yaml", ".toml"])
def test_escapes_of_settings(escaped, shown, suffix, read):
    assert read(f"a{suffix}", escaped).text == shown
