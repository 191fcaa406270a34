"""Formatted text as bots send it: the three parse modes of the Bot API.

The rules and the wording of the errors are those of parse_html, parse_markdown and
parse_markdown_v2 in tdlib/td (MessageEntity.cpp). Custom emoji and formatted dates are not known.
"""

from telegram_sim.formatting.formatted import Formatted
from telegram_sim.formatting.html import parse_html
from telegram_sim.formatting.markdown import parse_markdown
from telegram_sim.formatting.markdown_v2 import parse_markdown_v2

__all__ = ["Formatted", "parse_html", "parse_markdown", "parse_markdown_v2"]
