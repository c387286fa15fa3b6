"""Make the site of the documentation: README.md, docs/, the notebooks as they are stored, and a
reference from the docstrings.

python -m tools.make_site

It lies in build/site/html. Pages keep their places and their links; what a page links to in the
repository and is not on the site becomes an address of the repository, and pictures of other machines
become their words. Every link within the site is checked. Then Chromium, where there is one, opens all
pages and searches: nothing may come from another machine.
"""

import functools
import http.server
import re
import shutil
import sys
import threading
from pathlib import Path

import nbformat

from tools.notebooks import NOTEBOOKS, repository

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "build" / "site"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# The pages by the heading that they stand under; those of docs/ that are not named are the first's.
CONTENTS: dict[str, list[str]] = {
    "Using it": [],
    "Notebooks": [f"notebooks/{name}" for name in NOTEBOOKS],
    "Results": [
        *(
            f"docs/{page}"
            for page in ("gallery", "comparison", "fidelity", "robustness", "scaling")
        ),
        "benchmarks/README",
    ],
    "The project": ["docs/architecture", "CONTRIBUTING", "CHANGELOG", "SECURITY"],
}
SPHINX = {
    "project": "tf_cyclegan",
    "html_title": "tf_cyclegan",
    "html_theme": "furo",  # its letters are the reader's own
    "html_static_path": [str(ROOT / "tools" / "site.css")],
    "html_css_files": ["site.css"],
    "html_copy_source": False,
    "html_show_copyright": False,
    "add_module_names": False,
    "extensions": ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "tools.mathml"],
    "myst_heading_anchors": 4,
    "myst_enable_extensions": ["dollarmath"],
    "nb_execution_mode": "off",
    "nb_render_markdown_format": "myst",
    "html_math_renderer": "mathml",
    "highlight_language": "none",
    "default_role": "code",
    "autodoc_default_options": {"members": True, "member-order": "bysource"},
    "napoleon_use_ivar": True,
    "suppress_warnings": ["ref.python"],  # an attribute's name may be that of another's
}
CONTENTS_OF = """
```{{toctree}}
:hidden:
:caption: {caption}

{pages}
```
"""
REFERENCE_OF = """
## {module}

```{{eval-rst}}
.. automodule:: {module}
{options}```
"""
FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)")
ATTACHMENT = re.compile(r"\(attachment:(\w+)\.png\)")
PICTURE_ELSEWHERE = re.compile(r"!\[([^]]*)\]\(https?:[^)]*\)")


def write_pages(folder: Path) -> None:
    """Write the Markdown of all pages to a folder, where they lie as in the repository."""
    contents = _contents()
    pages = {_file_of(page) for group in contents.values() for page in group}
    for page in {*pages, ROOT / "README.md"}:
        write = _notebook_for_site if page.suffix == ".ipynb" else _page_for_site
        _write(folder / page.relative_to(ROOT), write(page, pages))
    shutil.copytree(ROOT / "docs" / "images", folder / "docs" / "images")
    rooms = _rooms()
    for room, modules in rooms.items():
        text = "".join(map(_reference, modules))
        _write(folder / "reference" / f"{room}.md", f"# {room}\n{text}")
    contents["Reference"] = [f"reference/{room}" for room in rooms]
    trees = [
        CONTENTS_OF.format(caption=caption, pages="\n".join(group))
        for caption, group in contents.items()
    ]
    readme = folder / "README.md"
    _write(folder / "index.md", readme.read_text(encoding="utf-8") + "".join(trees))
    readme.unlink()


def _contents() -> dict[str, list[str]]:
    named = {page for group in CONTENTS.values() for page in group}
    docs = sorted(f"docs/{path.stem}" for path in (ROOT / "docs").glob("*.md"))
    return CONTENTS | {"Using it": [page for page in docs if page not in named]}


def _file_of(page: str) -> Path:
    return ROOT / f"{page}{'.ipynb' if page.startswith('notebooks/') else '.md'}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _page_for_site(page: Path, pages: set[Path]) -> str:
    return _for_site(page.read_text(encoding="utf-8"), page, pages)


def _notebook_for_site(page: Path, pages: set[Path]) -> str:
    """A notebook with its title before the badge, and the drawings of the other pages."""
    notebook = nbformat.read(page, as_version=4)
    badge, title, *others = notebook.cells
    notebook.cells = [title, badge, *others]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = ATTACHMENT.sub(r"(../docs/images/\1.svg)", cell.source)
            cell.source = _for_site(text, page, pages)
            cell.pop("attachments", None)
    return nbformat.writes(notebook)


def _for_site(text: str, page: Path, pages: set[Path]) -> str:
    """Markdown with links that lead somewhere from the site; what is fenced stays."""
    parts = FENCE.split(text)
    parts[::2] = [_with_links(part, page, pages) for part in parts[::2]]
    return "".join(parts)


def _with_links(text: str, page: Path, pages: set[Path]) -> str:
    def link(match):
        path, anchor = (page.parent / match[1]).resolve(), match[2] or ""
        if path == ROOT / "README.md":
            return f"]({match[1].replace('README.md', 'index.md')}{anchor})"
        if path in pages or "images" in path.parts:
            return match[0]
        kind = "tree" if path.is_dir() else "blob"
        return f"]({repository()}/{kind}/main/{path.relative_to(ROOT)}{anchor})"

    return LINK.sub(link, PICTURE_ELSEWHERE.sub(r"\1", text))


def _rooms() -> dict[str, list[str]]:
    """The modules of each room, in the order of docs/architecture.md, without the commands."""
    table = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = {"tf_cyclegan": ["tf_cyclegan"]}
    for file, what in re.findall(r"^\| `([\w/]+)\.py` \| (.*) \|$", table, re.MULTILINE):
        if what != "command":
            room = file.split("/")[0] if "/" in file else "tf_cyclegan"
            rooms.setdefault(room, []).append(f"tf_cyclegan.{file.replace('/', '.')}")
    return rooms


def _reference(module: str) -> str:
    # What the package offers is described a second time where it is from.
    options = "   :no-index:\n" if module == "tf_cyclegan" else ""
    return REFERENCE_OF.format(module=module, options=options)


def build(pages: Path, html: Path) -> None:
    """Make HTML of the pages; end with an error where a link leads nowhere or a docstring is broken."""
    from sphinx.application import Sphinx

    site = Sphinx(
        pages, None, html, SITE / "doctrees", "html", SPHINX, status=None, warningiserror=True
    )
    site.connect("autodoc-process-docstring", _with_bars)
    site.build()
    if site.statuscode:
        sys.exit("the site has the faults above")


def _with_bars(_app, _what, _name, _object, _options, lines: list[str]) -> None:
    """`|A|` is a number of images, not what Sphinx would put in its place."""
    for place, line in enumerate(lines):
        parts = line.split("`")
        parts[::2] = [text.replace("|", r"\|") for text in parts[::2]]
        lines[place] = "`".join(parts)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and writes nothing of it to the terminal."""

    def log_message(self, *_):
        pass


def check_in_chromium(folder: Path, program: str) -> None:
    """Open every page, and search; end with an error where a page asks another machine or fails."""
    from playwright.sync_api import sync_playwright

    asked, errors = set(), []
    handler = functools.partial(Quiet, directory=str(folder))
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        sync_playwright() as p,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        browser = p.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page()
        page.on("request", lambda request: asked.add(request.url))
        page.on("requestfailed", lambda request: errors.append(f"failed: {request.url}"))
        page.on("pageerror", lambda error: errors.append(str(error)))
        for html in sorted(folder.rglob("*.html")):
            page.goto(address + html.relative_to(folder).as_posix())
        page.goto(f"{address}search.html?q=reflection+padding")
        page.wait_for_selector("#search-results li a")
        browser.close()
        server.shutdown()
    elsewhere = sorted(url for url in asked if not url.startswith((address, "data:", "blob:")))
    if elsewhere or errors:
        sys.exit("\n".join(["pages ask other machines or fail:", *elsewhere, *errors]))
    print(f"{len(asked)} addresses asked in Chromium, all of this machine; the search finds")


def main() -> None:
    """The command."""
    shutil.rmtree(SITE, ignore_errors=True)
    write_pages(SITE / "pages")
    build(SITE / "pages", SITE / "html")
    print(f"wrote {SITE / 'html'}")
    if program := next(filter(None, map(shutil.which, CHROMIUM)), None):
        check_in_chromium(SITE / "html", program)
    else:
        print("no Chromium on PATH, so that no page was opened: apt-get install chromium")


if __name__ == "__main__":
    main()
