"""HTML as BlueRockTEL keeps it. What is right is what an independent parser and the sandbox's own
tag stripping make of it, not what markup.py thinks."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Dict, List, Optional, Tuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from brtel_notify.sandbox.html import clean_body, strip_tags
from brtel_notify.text.markup import clean_html, untemplated
from brtel_notify.text.plaintext import as_text

TAGS = {"br", "img", "ul", "ol", "li", "strong", "i", "p", "a"}
PLENTY = 1_000_000


class Inspector(HTMLParser):
    """Raises AssertionError at anything that a ticket must not hold."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: List[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        assert tag in TAGS
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names)
        for name, value in attrs:
            assert (tag, name) in {("a", "href"), ("img", "src"), ("img", "alt")}
            if name != "alt":
                assert re.match(r"https?://|mailto:", value or "", re.IGNORECASE)
        if tag not in ("br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError("a declaration")

    def handle_pi(self, data: str) -> None:
        raise AssertionError("a processing instruction")


def inspected(cleaned: str) -> str:
    """The text of CLEANED, which is found to be what a ticket may hold."""
    inspector = Inspector()
    inspector.feed(cleaned)
    inspector.close()
    assert inspector.open == []
    assert clean_body(cleaned) == cleaned
    assert not re.search("[\0-\b\v\f\r\x0e-\x1f\x7f-\x9f]", cleaned)
    cleaned.encode("utf-8")
    return inspector.text


SPECIMENS: Dict[str, Tuple[str, str]] = {
    "the nine tags stay": (
        "<p>a<br><strong>b</strong> <i>c</i></p><ul><li>d</li></ul><ol><li>e</li></ol>",
        "<p>a<br><strong>b</strong> <i>c</i></p><ul><li>d</li></ul><ol><li>e</li></ol>",
    ),
    "capitals and slashes": ("<P>a<BR/>b<br />c</P>", "<p>a<br>b<br>c</p>"),
    "the nearest that is kept": ("<b>a</b> <em>b</em>", "<strong>a</strong> <i>b</i>"),
    "a heading has a line": ("<h1>a</h1>b", "<strong>a</strong><br>b"),
    "blocks have lines": ("<div>a</div>b<div>c</div>", "a<br>b<br>c"),
    "lines are not doubled": ("<div><p>a</p></div><div><p>b</p></div>", "<p>a</p><p>b</p>"),
    "a table": (
        "<table><tr><th>a</th><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>e",
        "<strong>a</strong> b<br>c d<br>e",
    ),
    "unknown tags go, their text stays": ("<font color=red>a</font><o:p>b</o:p>", "ab"),
    "nothing ends them": ("<p>a<strong>b", "<p>a<strong>b</strong></p>"),
    "ended in the wrong order": ("<strong><i>a</strong>b</i>", "<strong><i>a</i></strong>b"),
    "nothing began them": ("a</p></li>b</br>", "ab"),
    "the next ends them": ("<ul><li>a<li>b</ul>", "<ul><li>a</li><li>b</li></ul>"),
    "scripts": ("a<script>x < 1; '</p>'</script>b<style>p {}</style>c", "abc"),
    "a script without end": ("a<script>b", "ab"),
    "a script that ends oddly": ("a<SCRIPT >x</script\n foo>b", "ab"),
    "comments": ("a<!-- <p> -->b<!doctype html><?php x ?>c<![CDATA[d]]>e", "abce"),
    "a comment without end": ("a<!-- b", "a&lt;!-- b"),
    "attributes": ('<p class="x" onclick="y()">a</p>', "<p>a</p>"),
    "a link": (
        "<a href='https://x.example/?a=1&amp;b=2' target=_blank>a</a>",
        '<a href="https://x.example/?a=1&amp;b=2">a</a>',
    ),
    "a link without quotes": ("<a href=http://x/y>a</a>", '<a href="http://x/y">a</a>'),
    "two links in one": (
        '<a href="https://a/" href="https://b/">c</a>',
        '<a href="https://a/">c</a>',
    ),
    "a quote in a link that another opened": (
        "<a href='https://x/\"><script>'>a</a>",
        "<a>'&gt;a</a>",
    ),
    "an image": (
        '<img src="http://x/y.png" alt="a > b" width=1>',
        '<img src="http://x/y.png" alt="a &gt; b">',
    ),
    "a quote that is not closed": ("<p title=it's>a</p>", "<p>a</p>"),
    "no tags at all": (
        "1 < 2 > 0 <3 a<b <noc@x.fr>",
        "1 &lt; 2 &gt; 0 &lt;3 a&lt;b &lt;noc@x.fr&gt;",
    ),
    "a tag that is not finished": ("a<p", "a&lt;p"),
    "entities": ("&eacute;&nbsp;&#8364;&#x41; &amp;lt; &lt;p&gt;", "é\xa0€A &amp;lt; &lt;p&gt;"),
    "no entities": ("AT&T &nonsense; & &#; &#x;", "AT&amp;T &amp;nonsense; &amp; &amp;#; &amp;#x;"),
    "entities of nothing": ("a&#0;b&#xD800;c&#99999999;d&#27;e", "a\ufffdb\ufffdc\ufffdde"),
    "control characters": ("a\0b\x1b[1mc\x7f\x85d\r\ne\rf\tg", "ab[1mcd\ne\nf\tg"),
    "half characters": ("a\ud800b", "a?b"),
    "a NUL in a tag": ("<scr\0ipt>a", "&lt;script&gt;a"),
    "other alphabets": ("<p>مرحبا 日本 😀</p>", "<p>مرحبا 日本 😀</p>"),
}


@pytest.mark.parametrize(("source", "kept"), SPECIMENS.values(), ids=SPECIMENS)
def test_specimens(source: str, kept: str) -> None:
    assert clean_html(source, PLENTY) == (kept, False)
    inspected(kept)


@pytest.mark.parametrize(
    "address",
    [
        *("javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:1", "java\tscript:1"),
        *("&#106;avascript:1", "\x01javascript:1", "data:text/html,x", "vbscript:x", "file:///x"),
        *("//x.example", "/x", "http:", "https://", "http:javascript:1", "mailto:", "", "[::1"),
    ],
)
def test_a_link_that_leads_nowhere_good_is_none(address: str) -> None:
    assert clean_html(f'<a href="{address}">x</a>', PLENTY) == ("<a>x</a>", False)
    assert clean_html(f'<img src="{address}" alt="x">', PLENTY) == ('<img alt="x">', False)


def test_mail_may_be_written_to() -> None:
    link = '<a href="mailto:noc@example.net">NOC</a>'
    assert clean_html(link, PLENTY) == (link, False)


# --- any text at all ------------------------------------------------------------------------------

_BITS = st.sampled_from(
    [
        *("<", ">", "</", "/>", '"', "'", "=", "&", ";", "\n", " ", "\0", "\ud800", "é", "😀", "x"),
        *("<p>", "</p>", "<li>", "<ul>", "</ul>", "<br>", "<b>", "</b>", "<div>", "</div>", "<td>"),
        *("<a href=", "<a href='http://x'>", "</a>", "<img src=http://y alt=", "href", "onclick="),
        *("<script>", "</script>", "<style>", "<!--", "-->", "<!", "<?", "<![CDATA[", "]]>"),
        *("&lt;", "&amp;", "&#0;", "&#x3c;", "&nbsp", "javascript:", "https://", "<h1>", "</h1>"),
    ]
)
ANY = st.lists(_BITS, max_size=40).map("".join) | st.text()


@given(ANY, st.integers(0, 200) | st.just(PLENTY))
@example("<a href=' \"><script>", PLENTY)
@example("<p><p></i></p>", 10)
def test_any_text_becomes_what_a_ticket_may_hold(source: str, limit: int) -> None:
    cleaned, cut = clean_html(source, limit)
    inspected(cleaned)
    assert len(cleaned.encode("utf-8")) <= limit
    if limit == PLENTY:
        assert not cut


@given(ANY, st.integers(0, 200))
def test_what_is_clean_stays_as_it_is(source: str, limit: int) -> None:
    cleaned, _ = clean_html(source, limit)
    assert clean_html(cleaned, max(limit, len(cleaned.encode()))) == (cleaned, False)


@given(st.text())
def test_escaped_text_survives(text: str) -> None:
    cleaned, cut = clean_html(f"<p>{html.escape(text)}</p>", PLENTY)
    assert not cut
    visible = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode()
    visible = re.sub("[\0-\b\v\f\x0e-\x1f\x7f-\x9f]", "", visible)
    assert html.unescape(strip_tags(cleaned)) == visible


@given(st.text(alphabet="aé日😀&<>", min_size=1), st.integers(0, 60))
def test_a_cut_falls_between_characters(text: str, limit: int) -> None:
    whole, _ = clean_html(html.escape(text), PLENTY)
    part, cut = clean_html(html.escape(text), limit)
    assert whole.startswith(part)
    assert text.startswith(html.unescape(part))
    assert cut == (part != whole)
    if cut:  # as much of it as fits
        following = html.escape(text[len(html.unescape(part))], quote=False)
        assert len((part + following).encode()) > limit


def test_a_cut_closes_what_is_open() -> None:
    source = "<p><strong>" + "é" * 100
    assert clean_html(source, 50) == ("<p><strong>" + "é" * 13 + "</strong></p>", True)
    assert clean_html("<ul><li>a</li><li>b</li></ul>", 25) == ("<ul><li>a</li></ul>", True)
    assert clean_html('<p>a<a href="https://a.example/">b</a></p>', 30) == ("<p>a</p>", True)


# --- too much of everything: each of these took minutes, or fell over, somewhere -----------------


@pytest.mark.parametrize(
    "piece",
    [
        *("<p>", "<li>", "<strong>", "<div>", "</p>", "<", ">", "&", "&a", "<a ", "<a '", "</"),
        *('<a "', "<!--", "<!", "<?", "<![CDATA[", "<script>", "<script", "</script", "<title>"),
        *("x", "é", "\0", "<a href=", "&#", "&lt;", "<a\t", "=", "<br>", '<a b="', "-->", "<a/"),
    ],
)
@pytest.mark.parametrize("start", ["", "<a ", "<a href='", "<!--", "<script>", "<p>" * 1000])
def test_a_great_deal_of_one_thing(start: str, piece: str) -> None:
    source = start + piece * (300_000 // len(piece))
    cleaned, _ = clean_html(source, 60_000)
    inspected(cleaned)
    assert len(cleaned.encode()) <= 60_000


def test_five_megabytes_of_broken_input() -> None:
    source = "<p><ul><li" * 250_000 + "</ul>" * 500_000
    inspected(clean_html(source, 60_000)[0])


def test_a_hundred_thousand_tags_in_each_other() -> None:
    source = "<strong><i>" * 50_000 + "deep" + "</i></strong>" * 50_000 + "<p>after</p>"
    cleaned, cut = clean_html(source, 60_000)
    assert not cut
    assert inspected(cleaned) == "deepafter"
    assert cleaned.endswith("<p>after</p>")


# --- as a terminal shows it -----------------------------------------------------------------------


def test_as_text() -> None:
    source = (
        "<p><strong>DOWN</strong>: web1</p><ul><li>Since: now</li><li>a &lt; b</li></ul>"
        '<p>one<br>two</p><p><a href="https://x/">Open</a></p>'
    )
    assert as_text(source) == (
        "DOWN: web1\n  - Since: now\n  - a < b\n\none\ntwo\n\nOpen <https://x/>"
    )


@given(ANY)
def test_any_clean_text_can_be_shown(source: str) -> None:
    as_text(clean_html(source, PLENTY)[0])


# --- template variables of BlueRockTEL's ----------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("{{ user }}", "{ { user }}"),
        ("{!! html !!}", "{ !! html !!}"),
        ("{{{ three }}}", "{ { { three }}}"),
        ("&#123;{ x }}", "{ { x }}"),
        ("&lcub;&lbrace; x", "{ { x"),
        ("{<span></span>{ x }}", "{ { x }}"),
        ("{<!-- -->!<u>!</u>", "{! !"),
        ('<a href="https://a.example/{{x}}">y</a>', '<a href="https://a.example/%7B%7Bx}}">y</a>'),
        ('<img alt="{{x}}">', '<img alt="{ {x}}">'),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
        ("a { b", "a { b"),
    ],
)
def test_no_form_of_a_template_is_left(source: str, kept: str) -> None:
    assert clean_html(source, PLENTY) == (kept, False)


def test_a_text_full_of_braces_is_cut_at_the_limit() -> None:
    cleaned, cut = clean_html("{" * 60_000, 1000)
    assert cut
    assert len(cleaned) <= 1000
    assert "{{" not in cleaned


@given(text=st.text(alphabet="{!}x<b>&#123; ", max_size=40))
def test_whatever_stands_beside_them(text: str) -> None:
    assert not re.search(r"\{\{|\{!!", clean_html(text, PLENTY)[0])
    assert not re.search(r"\{\{|\{!!", untemplated(text))
