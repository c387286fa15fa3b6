"""A Sphinx extension: formulas as MathML, which browsers show by themselves, with nothing fetched."""

import re

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator


def setup(app: Sphinx) -> None:
    """Register it, as `html_math_renderer = "mathml"`."""
    app.add_html_math_renderer("mathml", (_write, None), (_write, None))


def _write(writer: HTML5Translator, node: nodes.math | nodes.math_block) -> None:
    as_block = isinstance(node, nodes.math_block)
    text = tex2mathml(node.astext(), as_block=as_block)
    # Browsers stretch the two bars of a norm apart from each other, as the second has an index.
    writer.body.append(re.sub("<mo[^>]*>‖", '<mo stretchy="false">‖', text))
    raise nodes.SkipNode
