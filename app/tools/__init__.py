"""Every tool by its name. A new one is one more entry in the list of its noun."""

from app.tools.comments import COMMENT_TOOLS
from app.tools.projects import PROJECT_TOOLS
from app.tools.table import Tool
from app.tools.tags import STATS_TOOLS, TAG_TOOLS
from app.tools.task_actions import ACTION_TOOLS
from app.tools.tasks import TASK_TOOLS
from app.tools.undo import UNDO_TOOLS

LISTS = (TASK_TOOLS, ACTION_TOOLS, COMMENT_TOOLS, PROJECT_TOOLS, TAG_TOOLS, STATS_TOOLS, UNDO_TOOLS)
TOOLS: dict[str, Tool] = {tool.name: tool for tools in LISTS for tool in tools}
