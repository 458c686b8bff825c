"""The marks of Markdown that READMEs use, and nothing else, become HTML."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinnflow.report.prose import split_readme


def body(text: str) -> str:
    return split_readme(f"# T\n\nquestion\n\n{text}")[2]


def test_title_question_and_model_end_at_the_next_heading() -> None:
    assert split_readme("# A title\n\nWhy\nso?\n\nThis.\n\nThat.\n## More\n\nno") == (
        "A title",
        "<p>Why so?</p>",
        "<p>This.</p><p>That.</p>",
    )


@pytest.mark.parametrize("text", ["", "\n", "# only a title"])
def test_what_is_missing_is_empty(text: str) -> None:
    assert split_readme(text)[1:] == ("", "")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**a** and *b* and `c*d*`", "<p><strong>a</strong> and <em>b</em> and <code>c*d*</code></p>"),
        ("2 * 3 * 4", "<p>2 * 3 * 4</p>"),
        ("[a](https://x.org/b)", '<p><a href="https://x.org/b">a</a></p>'),
        ("- one\n- two\n  more", "<ul><li>one</li><li>two   more</li></ul>"),
        ("```\n# no <title>\n```", "<pre># no &lt;title&gt;</pre>"),
        ("    y = 2", "<pre>y = 2</pre>"),
        ("|a|b|\n|-|-|\n|1|2|", '<div class="scroll"><table><thead><tr><th>a</th><th>b</th></tr></thead>'
         "<tbody><tr><td>1</td><td>2</td></tr></tbody></table></div>"),
    ],
)  # fmt: skip
def test_marks(text: str, html: str) -> None:
    assert body(text) == html


@given(st.text(alphabet="<>&\"'ab *`[]()|-#\n", max_size=60))
def test_nothing_of_the_text_becomes_a_tag(text: str) -> None:
    allowed = ("p", "ul", "li", "pre", "code", "em", "strong", "div", "table", "thead", "tbody", "tr", "th", "td")
    rest = body(text)
    for tag in allowed:
        rest = rest.replace(f"<{tag}>", "").replace(f"</{tag}>", "")
    assert "<" not in rest.replace('<div class="scroll">', "")
