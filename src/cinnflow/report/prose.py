"""The few marks of Markdown that a model's README needs, as HTML."""

from __future__ import annotations

import html
import re

_FENCE = "```"


def split_readme(readme: str) -> tuple[str, str, str]:
    """Title, question and model of a README: its heading, its first paragraph, and the rest up to the next heading.

    Args:
        readme: Markdown.

    Returns:
        The title as plain text, and the other two as HTML; empty where the README has none.
    """
    blocks = _blocks(readme)
    title = ""
    if blocks and blocks[0].startswith("# "):
        title = blocks.pop(0)[2:].strip()
    section = []
    for block in blocks:
        if block.startswith("#"):
            break
        section.append(block)
    return title, "".join(map(_block_html, section[:1])), "".join(map(_block_html, section[1:]))


def inline(text: str) -> str:
    """A line of Markdown as HTML: escaped, then with its code, bold, italics and links."""
    parts = re.split(r"`([^`]+)`", html.escape(text.replace("\n", " ").strip(), quote=True))
    for position, part in enumerate(parts):
        if position % 2:
            parts[position] = f"<code>{part}</code>"
            continue
        part = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", part)
        part = re.sub(r"(?<![\w*])[*]([^*\s][^*]*)[*](?![\w*])", r"<em>\1</em>", part)
        parts[position] = re.sub(r"\[([^\]]+)\]\((https?://[^)\s]+)\)", r'<a href="\2">\1</a>', part)
    return "".join(parts)


def _blocks(text: str) -> list[str]:
    """Paragraphs, headings, lists, tables and fenced code, in order."""
    blocks: list[list[str]] = [[]]
    fenced = False
    for line in text.splitlines():
        if line.startswith(_FENCE):
            if not fenced:
                blocks.append([])
            blocks[-1].append(line)
            fenced = not fenced
            if not fenced:
                blocks.append([])
        elif fenced:
            blocks[-1].append(line)
        elif not line.strip():
            blocks.append([])
        elif line.startswith("#"):
            blocks += [[line], []]
        else:
            blocks[-1].append(line)
    return ["\n".join(block) for block in blocks if block]


def _block_html(block: str) -> str:
    lines = block.splitlines()
    if block.startswith(_FENCE):
        return f"<pre>{html.escape(chr(10).join(lines[1:-1]))}</pre>"
    if lines[0].startswith(("- ", "* ")):
        items = re.split(r"\n[-*] ", "\n" + block)[1:]
        return "<ul>" + "".join(f"<li>{inline(item)}</li>" for item in items) + "</ul>"
    if lines[0].startswith("|") and len(lines) > 1:
        return _table(lines)
    if all(line.startswith("    ") for line in lines):
        return f"<pre>{html.escape(chr(10).join(line[4:] for line in lines))}</pre>"
    return f"<p>{inline(block)}</p>"


def _table(lines: list[str]) -> str:
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    head = "".join(f"<th>{inline(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{inline(cell)}</td>" for cell in row) + "</tr>" for row in rows[2:])
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
