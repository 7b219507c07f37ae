"""Every tool by its name. A new tool is an entry in the list of its noun."""

from app.assistant.tools.comments import COMMENT_TOOLS
from app.assistant.tools.projects import PROJECT_TOOLS
from app.assistant.tools.tags import STATS_TOOLS, TAG_TOOLS
from app.assistant.tools.tasks import TASK_TOOLS
from app.assistant.tools.tool import Tool
from app.assistant.tools.undo import UNDO_TOOLS

TOOL_LISTS = (TASK_TOOLS, COMMENT_TOOLS, PROJECT_TOOLS, TAG_TOOLS, STATS_TOOLS, UNDO_TOOLS)
TOOLS_BY_NAME: dict[str, Tool] = {tool.name: tool for tools in TOOL_LISTS for tool in tools}
