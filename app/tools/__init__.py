"""Every tool by its name. A new one is one more entry in the list of its noun."""

from app.tools.projects import PROJECT_TOOLS
from app.tools.table import Tool
from app.tools.tasks import TASK_TOOLS
from app.tools.undo import UNDO_TOOLS

TOOLS: dict[str, Tool] = {tool.name: tool for tool in (*TASK_TOOLS, *PROJECT_TOOLS, *UNDO_TOOLS)}
