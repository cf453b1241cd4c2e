"""HTML as values: whatever is put into an element is escaped, unless it is an element itself."""

from html import escape

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


class Html(str):
    """Markup that was made here."""

    __slots__ = ()


def element(name: str, *content: str, **attributes: object) -> Html:
    """`<name …>content</name>`; `_` in the name of an attribute is `-` (`class_` is `class`)."""
    said = "".join(f' {k.rstrip("_").replace("_", "-")}="{escape(str(v))}"' for k, v in attributes.items())
    return Html(f"<{name}{said}>{joined(*content)}</{name}>")


def document(title: str, style: str, language: str, *content: str) -> str:
    """A page that stands alone: it loads nothing, and no script runs in it."""
    head = element(
        "head",
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        element("title", title),
        Html(f"<style>{style}</style>"),
    )
    return f"<!doctype html>\n{element('html', head, element('body', *content), lang=language)}\n"


def joined(*content: str) -> Html:
    """One after the other."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in content))
